"""What a hop's replies say about a recipient: only a plain word about the address counts as a refusal."""

import pytest

from services.delivery.judge_probe import judge_probe
from shared.reply import Reply
from shared.wire_verify import VerifyResult

OK = Reply(250, "2.1.0", "ok")
TAKEN, REFUSED, UNKNOWN = VerifyResult.TAKEN, VerifyResult.REFUSED, VerifyResult.UNKNOWN


@pytest.mark.parametrize(
    ("code", "enhanced", "result"),
    [
        (250, "2.1.5", TAKEN),
        (251, "", TAKEN),
        (252, "2.0.0", TAKEN),
        (550, "", REFUSED),
        (550, "5.0.0", REFUSED),
        (550, "5.1.1", REFUSED),
        (550, "5.1.10", REFUSED),
        (550, "5.2.1", REFUSED),
        (550, "5.4.1", REFUSED),
        (551, "", REFUSED),
        (553, "", REFUSED),
        (554, "5.1.1", REFUSED),
        (556, "5.1.10", REFUSED),
        # The hop dislikes us, or the null sender.
        (550, "5.7.1", UNKNOWN),
        (550, "5.7.26", UNKNOWN),
        (550, "5.1.7", UNKNOWN),
        (550, "5.1.8", UNKNOWN),
        (530, "5.7.0", UNKNOWN),
        # It does not say what it means, or is confused.
        (554, "", UNKNOWN),
        (554, "5.0.0", UNKNOWN),
        (554, "5.4.1", UNKNOWN),
        (550, "5.3.0", UNKNOWN),
        (550, "5.4.6", UNKNOWN),
        (500, "5.5.1", UNKNOWN),
        (503, "", UNKNOWN),
        (521, "", UNKNOWN),
        # The mailbox is there, and full.
        (552, "5.2.2", UNKNOWN),
        # Later.
        (421, "", UNKNOWN),
        (450, "4.1.1", UNKNOWN),
        (451, "4.7.1", UNKNOWN),
        (452, "4.2.2", UNKNOWN),
        (354, "", UNKNOWN),
    ],
)
def test_a_reply_to_rcpt(code: int, enhanced: str, result: VerifyResult) -> None:
    reply = Reply(code, enhanced, "words")
    probed = judge_probe(OK, reply)
    assert probed.result is result
    assert probed.reply == str(reply)


@pytest.mark.parametrize("mail", [Reply(550, "5.1.1", "no null sender"), Reply(450, "", "later"), Reply(354, "", "?")])
@pytest.mark.parametrize("rcpt", [None, Reply(550, "5.1.1", "no such user"), OK])
def test_a_refused_mail_says_nothing_of_the_recipient(mail: Reply, rcpt: Reply | None) -> None:
    assert judge_probe(mail, rcpt).result is UNKNOWN
