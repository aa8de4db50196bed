"""The form in which a judged message is delivered (PURE).

Owns: what is put on top (our Authentication-Results, a tag, the verdict), what is taken out (results that claim to be
ours, parts that the policy strips), and the subject's tag. Everything else stays byte for byte, so that signatures keep
holding where nothing of theirs is touched.
Standards: RFC 8601 §4.1, §5.
"""

from services.content.mime.strip import strip_parts
from shared.auth.marks import fields_on_top, with_subject_tag, without_forged_results
from shared.envelope import Envelope
from shared.policy import Policy
from shared.verdict import Action, CheckName, Verdict

_NOTICE = (
    "An attachment was taken out of this message by the mail gateway of the recipient.\r\n"
    "Why: {why}\r\n"
    "The whole message is held in quarantine; the postmaster finds it by this id: {id}\r\n"
)


def marked_message(envelope: Envelope, message: bytes, authserv_id: str, policy: Policy) -> bytes:
    """Return the message as delivery gets it. envelope: with verdict and results."""
    verdict = envelope.verdict or Verdict(Action.ACCEPT)
    clean, _ = without_forged_results(message, authserv_id)
    if verdict.strip:
        clean = strip_parts(clean, verdict.strip, _NOTICE.format(why=_why(verdict), id=envelope.id))
    if verdict.subject_tag:
        clean = with_subject_tag(clean, verdict.subject_tag)
    return fields_on_top(verdict, envelope.results, envelope.id, shown=policy.verdict.header) + clean


def _why(verdict: Verdict) -> str:
    reasons = [one.evidence for one in verdict.reasons if one.check is CheckName.ATTACHMENTS]
    return reasons[0].encode("ascii", "replace").decode() if reasons else "the policy of the recipient's domain"
