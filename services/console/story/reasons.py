"""The closed lists of reasons of edge, content and delivery, in words for people (PURE).

Owns: for each code what it means, the rule behind it, and what the sender may do. A code that is not here is shown
as it is: the stages may learn new ones before this page does.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """meaning: completes "refused: …". rule: the policy's key or the standard. advice: what the sender may do."""

    meaning: str
    rule: str = ""
    advice: str = ""


_LATER = "Its server tries again by itself."
_MEND = "This is for the author of its mail program, or of what stands between."

REFUSALS: dict[str, Words] = {
    "too-many-connections": Words("too many connections are open", "[limits] connections", _LATER),
    "broker-unavailable": Words("RabbitMQ does not take messages now, so nothing could be kept safe", "", _LATER),
    "shutting-down": Words("this server is shutting down", "", _LATER),
    "proxy-header": Words("the proxy before this listener did not say who the client is", "[listeners] proxy_from"),
    "too-many-errors": Words("the session made too many errors", "[limits] errors", _MEND),
    "too-many-commands": Words("the session sent too many commands", "[limits] commands", _MEND),
    "too-many-auth-failures": Words("too many log-ins failed", "[limits] auth_failures", "Log in rightly."),
    "bad-line": Words("the session sent a line that no mail server sends", "RFC 5321 §4.5.3.1", _MEND),
    "tls-required": Words("the session is not encrypted", "[listeners] tls", "Use STARTTLS or the port for TLS."),
    "login-required": Words("this listener takes mail only after a log-in", "[listeners] purpose", "Log in first."),
    "login-failed": Words("login or password is wrong", "", "Use the right ones, or ask for new ones."),
    "client-not-listed": Words(
        "this listener takes mail only from hosts on the relay list", "[relay] networks",
        "An administrator may put the client on the list.",
    ),
    "sender-syntax": Words("the sender is no address", "RFC 5321 §4.1.2", _MEND),
    "sender-not-owned": Words(
        "the login may not send as this sender", "the account's senders",
        "Use the login's own address, or have the administrator add this one to the account.",
    ),
    "recipient-syntax": Words("the recipient is no address", "RFC 5321 §4.1.2", "Correct the address."),
    "recipient-unknown": Words(
        "the domain is ours, and has no such recipient", "[domains] recipients", "Correct the address."
    ),
    "recipient-routed": Words(
        "the address asks another server to pass it on (%, ! or @ in its local part)", "",
        "Use the recipient's plain address.",
    ),
    "relay-denied": Words(
        "the recipient's domain is not ours, and the client may not send elsewhere through us",
        "[domains], [relay] networks, or a log-in",
        "A user of ours logs in on a submission listener; anyone else sends to the recipient's own server.",
    ),
    "too-many-recipients": Words(
        "the message has too many recipients", "[limits] recipients", "Its server sends to the others separately."
    ),
    "envelope-too-large": Words("the envelope is too large", "", "Send to fewer recipients at a time."),
    "message-too-large": Words("the message is too large", "[limits] message_size_bytes", "Send a smaller one."),
    "no-room": Words("there is no room for it now", "[limits] in_flight_bytes, or the queue's own limit", _LATER),
    "bare-cr-or-lf": Words(
        "the message has line ends that hide a second message from some servers (SMTP smuggling)",
        "RFC 5321 §2.3.8", _MEND,
    ),
    "nul": Words("the message has NUL octets", "RFC 5321 §4.5.2", _MEND),
    "hop-count": Words(
        "the message has passed too many servers and seems to go in a circle", "[limits] received_fields",
        "The postmasters on its way must look at their routes.",
    ),
    "same-recipient-again": Words(
        "the message has passed here before for the same recipient: its route is a circle", "",
        "The administrator must look at the route of the recipient's domain.",
    ),
    "banned": Words(
        "the client's address failed too often and is kept out for a while", "[bans]",
        "Mend what fails; the ban ends by itself, or an administrator lifts it (gatepost ban remove).",
    ),
    "access-denied": Words(
        "an access rule keeps the client out", "[[access]]", "An administrator may change the rule."
    ),
    "access-deferred": Words("an access rule has the client come again later", "[[access]]", _LATER),
    "too-many-connections-of-address": Words(
        "the client's address has too many connections open", "[limits] connections_per_address", _LATER
    ),
    "too-many-connections-of-network": Words(
        "the client's network has too many connections open", "[limits] network_factor", _LATER
    ),
    "early-talker": Words(
        "the client spoke before it was greeted, as no mail server does", "[listeners] greet_wait_s", _MEND
    ),
    "no-name": Words(
        "the client's address has no name that leads back to it", "[reverse] missing",
        "Its administrator sets a PTR record, and an address record for that name.",
    ),
    "dns-listed": Words(
        "DNS block lists speak against the client's address", "[dns_lists]",
        "Its administrator asks the list, which is named in the reply, to take it off.",
    ),
    "rate-exceeded": Words("the client does too much in too short a time", "[limits] rates", _LATER),
    "too-slow": Words("the message came too slowly", "[limits] min_data_bytes_per_s", _LATER),
    "client-rule": Words(
        "a rule of the administrator about this client, login, sender or recipient", "[[clients]]",
        "An administrator may change the rule.",
    ),
    "too-many-unknown-commands": Words(
        "the session sent too many commands that SMTP does not have", "[limits] unknown_commands", _MEND
    ),
    "too-many-messages": Words("the session brought as many messages as one may", "[limits] messages", _LATER),
    "too-many-refused-recipients": Words(
        "the session tried too many recipients that are refused", "[limits] refused_recipients",
        "The sender's list of addresses needs cleaning.",
    ),
    "improper-pipelining": Words("the client did not wait for an answer where it must", "RFC 2920 §3.1", _MEND),
    "long-line": Words("the message has lines of more than 998 octets", "[limits] long_lines", _MEND),
    "xclient": Words("the client may not say XCLIENT, or said it wrongly", "[listeners] xclient_from"),
    "certificate-required": Words(
        "this listener asks for a client certificate", "[listeners] client_certificates",
        "Set up the client with a certificate of the accepted authority.",
    ),
    "from-not-owned": Words(
        "the author in From is not an address of the login", "[listeners] from_owned",
        "Use the login's own address, or have the administrator add this one to the account.",
    ),
    "recipient-not-verified": Words(
        "it could not be found out now whether the recipient exists", "[domains] recipients", _LATER
    ),
    "greylisted": Words(
        "the client's network, the sender and the recipient were not seen together before", "[greylist]", _LATER
    ),
    "requiretls-not-kept": Words(
        "the sender requires TLS all the way, which this recipient's route cannot promise", "RFC 8689",
        "Send without REQUIRETLS.",
    ),
    "bounce-not-ours": Words(
        "it is a bounce to an address whose mail leaves with a tag (BATV), and this bounce has none that holds",
        "[domains] batv", "The message that came back was not sent by this address; look for who forges it.",
    ),
    "not-a-bounce": Words(
        "the address takes bounces of forwarded or tagged mail alone, and this is none",
        "[forwarding] and [domains] batv",
        "Write to the sender's own address.",
    ),
    "srs-invalid": Words(
        "the rewritten address (SRS) does not bear our mark: it is forged, or was cut on its way", "[forwarding]",
        "Write to the address that stands in From of the forwarded message.",
    ),
    "srs-expired": Words(
        "the rewritten address (SRS) is too old: bounces come back sooner", "[forwarding]",
        "Write to the address that stands in From of the forwarded message.",
    ),
    "no-rewriting-secret": Words(
        "the address can be read with a secret alone, which edge does not have", "rewriting_secrets of edge's settings",
        _LATER,
    ),
}  # fmt: skip

QUARANTINES: dict[str, str] = {
    "refuse": "the verdict was refuse, and the client had been told 250 already",
    "quarantine": "the verdict was quarantine",
    "stripped": "parts of it were taken out before delivery, and this is the whole of it",
    "undecided": "no check came to a result in all the time it may wait",
    "undeliverable": "it can be delivered to nobody, and its sender is not proved: a report might hit an innocent",
    "unreadable": "it is not in a form that the stages can read",
    "unexplained": "nobody said why it was put here",
    "poison": "what had it in work died of it again and again",
}

WITHHELD: dict[str, str] = {
    "null sender": "it has no return address (RFC 5321 §4.5.5)",
    "sender not proved": "the sender is not proved, so that a report might hit an innocent",
    "the sender asked for none (NOTIFY)": "the sender asked for none (NOTIFY, RFC 3461 §4.1)",
}

# services/delivery/classify.py: why a recipient is put off.
PUT_OFF: dict[str, str] = {
    "connection": "the next hop could not be reached, or was lost",
    "greylisted": "greylisting: it is taken when it comes again",
    "policy": "the next hop has something against this gateway or this mail for now",
    "mailbox-full": "the mailbox is full",
    "too-many-recipients": "more recipients than the next hop takes at a time",
    "network": "DNS or the way beyond the next hop fails",
    "content": "the next hop cannot take this content now",
    "other": "no further kind",
}

# services/delivery/classify.py: why a recipient has failed. Each with who can do something about it.
BOUNCES: dict[str, str] = {
    "bad-address": "there is no such address; the sender can correct it",
    "full-mailbox": "the mailbox is full; its owner can make room",
    "policy": "refused by the rules of the next hop; where its words name this gateway's address or domain, "
    "`gatepost domain check` looks for the cause",
    "content": "the next hop does not take a message of this size, form or content; the sender can change it",
    "network": "no next hop could be reached in time, or the way to it runs in a circle",
    "unknown": "of no kind that could be told from the answer",
}


def refusal(code: str) -> Words:
    """Return the words for a refusal of edge."""
    return REFUSALS.get(code) or Words(code)


def quarantine(code: str) -> str:
    """Return the words for a reason of quarantine."""
    meaning = QUARANTINES.get(code)
    if not meaning:
        return code
    return meaning if code in meaning else f"{meaning} ({code})"


def withheld(code: str) -> str:
    """Return the words for a report that was not sent."""
    return WITHHELD.get(code, code)


def put_off(code: str) -> str:
    """Return the words for a class of failure after which a message is tried again."""
    meaning = PUT_OFF.get(code)
    return f"{code}: {meaning}" if meaning else code


def bounce(code: str) -> str:
    """Return the words for a class of failures for good."""
    meaning = BOUNCES.get(code)
    return f"{meaning} ({code})" if meaning else code
