"""What a message adds to aggregate reports (PURE): findings and verdicts → `DmarcSeen`, one for each recipient domain.

Standards: RFC 9990 §3.1.
"""

from collections.abc import Mapping

from services.content.auth.results import DkimWord, DmarcResult, DmarcWord
from services.content.authenticity import Authenticity
from shared.auth.domain import host_name
from shared.dmarc_seen import DkimSeen, DmarcSeen, Override, Published
from shared.envelope import Envelope
from shared.verdict import Action, CheckName, Verdict

_MAX_SIGNATURES = 10
_DONE = {Action.QUARANTINE: "quarantine", Action.REFUSE: "reject"}


def dmarc_seen(envelope: Envelope, authenticity: Authenticity, verdicts: Mapping[str, Verdict]) -> list[DmarcSeen]:
    """Return what is to be reported; nothing where no report is asked for, or DNS could not say enough."""
    dmarc, spf = authenticity.dmarc, authenticity.spf
    if dmarc is None or spf is None or dmarc.record is None or not dmarc.record.rua:
        return []
    if dmarc.word not in (DmarcWord.PASS, DmarcWord.FAIL):
        return []
    signatures = tuple(
        DkimSeen(one.domain, one.selector, one.word.value)
        for one in authenticity.dkim[:_MAX_SIGNATURES]
        if one.word is not DkimWord.NONE and one.domain
    )
    return [
        DmarcSeen(
            published=_published(dmarc),
            organization=authenticity.organization or dmarc.record.domain,
            rua=dmarc.record.rua,
            source=envelope.client.address,
            header_from=dmarc.author_domain,
            envelope_from=host_name(envelope.sender.rpartition("@")[2]) or "",
            envelope_to=domain,
            disposition=disposition,
            dkim_aligned=dmarc.dkim_aligned,
            spf_aligned=dmarc.spf_aligned,
            spf_domain=spf.domain,
            spf_result=spf.word.value,
            dkim=signatures,
            overrides=overrides,
        )
        for domain, verdict in verdicts.items()
        # A message that is put off is examined, and told, again.
        if verdict.action is not Action.DEFER
        for disposition, overrides in [_done(dmarc, verdict)]
    ]


def _published(dmarc: DmarcResult) -> Published:
    record = dmarc.record
    assert record is not None
    return Published(
        domain=record.domain,
        p=record.p.value,
        sp=record.sp.value if record.sp else "",
        np=record.np.value if record.np else "",
        adkim=record.adkim,
        aspf=record.aspf,
        fo=record.fo,
        t="y" if record.testing else "",
    )


def _done(dmarc: DmarcResult, verdict: Verdict) -> tuple[str, tuple[Override, ...]]:
    """Return what was done because of DMARC, and why it was something else than the owner asks for."""
    if dmarc.word is DmarcWord.PASS:
        return "pass", ()
    reason = next((one for one in verdict.reasons if one.check is CheckName.DMARC), None)
    done = _DONE.get(reason.action, "none") if reason else "none"
    if done == dmarc.published.value:
        return done, ()
    # RFC 9990 §3.1: policy_test_mode where t=y made it milder.
    if dmarc.testing and done == dmarc.disposition.value:
        return done, (Override("policy_test_mode"),)
    if reason is not None and reason.rule.endswith(".arc.trusted"):
        return done, (Override("trusted_forwarder", "arc=pass of a trusted sealer"),)
    return done, (Override("local_policy", reason.exemption if reason else "DMARC is not acted upon here"),)
