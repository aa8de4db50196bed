"""Which mechanisms are offered."""

import pytest

from services.edge.auth.offer import offered
from shared.policy import Listener, Purpose
from shared.policy.listener import Mechanism

BINDINGS = {"tls-server-end-point": b"x"}
ALL = list(Mechanism)


@pytest.mark.parametrize(
    "mechanisms, bindings, kerberos, names",
    [
        ([Mechanism.PLAIN, Mechanism.LOGIN], BINDINGS, True, ["PLAIN", "LOGIN"]),
        ([Mechanism.SCRAM_SHA_256], {}, False, ["SCRAM-SHA-256"]),
        ([Mechanism.SCRAM_SHA_256], BINDINGS, False, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]),
        ([Mechanism.GSSAPI], {}, False, []),
        ([Mechanism.GSSAPI], {}, True, ["GSSAPI"]),
        ([Mechanism.PLAIN, Mechanism.PLAIN], {}, True, ["PLAIN"]),
        (ALL, BINDINGS, True, ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "GSSAPI"]),
    ],
)
def test_what_the_policy_lists_and_the_connection_can_do_is_offered(
    mechanisms: list[Mechanism], bindings: dict[str, bytes], kerberos: bool, names: list[str]
) -> None:
    rules = Listener(purpose=Purpose.SUBMISSION, auth=True, mechanisms=mechanisms)
    assert offered(rules, bindings, kerberos=kerberos) == names


def test_cram_md5_is_not_offered_by_default() -> None:
    assert "CRAM-MD5" not in offered(Listener(purpose=Purpose.SUBMISSION, auth=True), BINDINGS, kerberos=True)
