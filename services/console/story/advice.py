"""What a sender can do about a check's objection (PURE).

Owns: a sentence for each result of each check that can hold a message back. Results that are not here, of a later
version, have the check's general sentence.
"""

_ANY = ""
_FORM = "send it from a usual mail program: this message is not built as the standards ask"
_PASSWORD = (
    "change the account's password and look for what sends in its name, then ask the postmaster to lift the brake "
    "(gatepost account unbrake); it also ends by itself"
)

_ADVICE: dict[str, dict[str, str]] = {
    "antivirus": {
        _ANY: "send it again without the infected part, after a look at the machine that it comes from; if the scanner "
        "errs, the recipient's postmaster can look into it by this id",
        "encrypted": "send it without a password on archive or document, or agree on another way with the recipient",
        "exceeded": "send smaller files, fewer archives within archives, or a link",
    },
    "antispam": {
        _ANY: "write it so that it looks less like advertising, keep clear of links and servers with a bad name, and "
        "send it by the server of its own domain; the recipient's postmaster can teach the engine that it is wanted",
        "soft_rejected": "wait: its server tries again by itself, as the engine asks for",
    },
    "attachments": {
        _ANY: "send the same message without the attachment that is named above, or a link in its place",
        "disguised": "give the file the name that says what it is, and only one extension",
        "encrypted": "send the file without a password, or agree on another way with the recipient",
        "macro": "save the document without macros (.docx, .xlsx, .pptx, or PDF) and send that",
        "suspicious_macro": "save the document without macros (.docx, .xlsx, .pptx, or PDF) and send that; if it was "
        "not meant to have any, look for malware on the machine that it comes from",
        "unreadable": "make the archive anew, for this one is damaged, or send the files without one",
        "exceeded": "send a smaller archive, without archives within archives, or a link",
    },
    "spf": {
        _ANY: "use a server that the SPF record of its domain names, or have this client added to that record",
        "none": "have an SPF record published for its domain that names the servers it sends from",
        "neutral": "have its domain's SPF record say yes to this client; now it says neither yes nor no",
        "permerror": "have its domain's SPF record corrected: it breaks the standard, so that nobody can follow it",
        "helo_fail": "have its server say a name in HELO whose SPF record allows the server's own address",
    },
    "dkim": {
        _ANY: "have its server sign with DKIM, with a key that stands in DNS, and see that nothing changes the mail "
        "after the signing",
    },
    "dmarc": {
        _ANY: "send by servers of the domain in its From: field, so that SPF or DKIM passes for that very domain; mail "
        "that a list or a forwarder changes on its way needs an address of the list or forwarder in From:",
        "permerror": "write one From: field with addresses of a single domain",
    },
    "arc": {
        _ANY: "tell the forwarders on its way that their ARC seals do not hold, or send without them",
    },
    "iprev": {
        _ANY: "have its server's administrator correct the PTR record of the client's address: it must give a name "
        "that has the same address in DNS",
        "permerror": "have its server's administrator set a PTR record for the client's address, and an address record "
        "for that name",
    },
    "structure": {
        _ANY: _FORM,
        "exceeded": "send it with fewer or smaller headers and parts, in several messages if need be",
        "overrun": "send a simpler message: fewer parts, smaller archives",
    },
    "brake": {_ANY: _PASSWORD},
}


def advice(check: str, result: str) -> str:
    """Return what the sender can do, as a clause that begins with a verb; empty for a check that is not known."""
    of_check = _ADVICE.get(check, {})
    return of_check.get(result) or of_check.get(_ANY, "")
