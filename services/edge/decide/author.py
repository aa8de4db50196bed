"""Whether a login may send under the addresses that its message shows (PURE).

Input: the account, and the From and Sender fields as `services/edge/header.py` reads them.
Standards: RFC 5322 §3.6.2; RFC 6409 §6.1 lets a submission server enforce the rights of a login.
On failure: what cannot be read is refused, for mail programs might show somebody else.
"""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.header import Authors
from shared.accounts import Account
from shared.auth.author import read_addresses

_NOT_OWNED = refuse(RefusalReason.FROM_NOT_OWNED, 553, "5.7.1", "Address in From or Sender not owned by the login")
_UNCLEAR = refuse(RefusalReason.FROM_NOT_OWNED, 553, "5.7.1", "From and Sender must show clearly who sends")


def judge_author(account: Account, authors: Authors | None) -> Refusal | None:
    """Return why a message is refused, or None. authors: None if there is no From that could be read."""
    if authors is None:
        return _UNCLEAR
    try:
        # Each of them, were there several: which one is shown is the mail program's choice.
        for value in (*authors.written_by, *authors.sent_by):
            if not all(map(account.may_send_as, read_addresses(value))):
                return _NOT_OWNED
    except ValueError:
        return _UNCLEAR
    return None
