"""What Rspamd is told of a message besides its bytes (PURE).

Input: `SpamRequest`. Output: header fields of the HTTP request, none of which can hold more than one line of ASCII.
Rspamd's own checks of SPF, DKIM, DMARC and ARC are switched off per request, and our results stand in for them as the
symbols of its own names, so that its scores and composite rules see them. That works whether Rspamd's modules for them
are loaded or not; settings of the administrator's own in Rspamd that fit the message and have a higher priority replace
ours there.
"""

import json
import re
from collections.abc import Iterator

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.results import DkimResult, DkimWord, DmarcResult, DmarcWord
from services.content.spam import SpamRequest
from shared.auth.spf_result import SpfResult, SpfWord
from shared.dns.answer import BadName
from shared.dns.names import canonical
from shared.envelope import Client

# Rspamd's rules about recipients need no more; a list's thousand would be a header of a quarter megabyte.
MAX_RECIPIENTS = 100
_MAX_VALUE = 1000
_MAX_OPTION = 100
_UNSAFE = re.compile(r"[^ -~]")
# RFC 5322 §3.2.3: what a local part without quotes may hold.
_NO_ATOM = re.compile(r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]")

_Symbols = dict[str, dict[str, list[str]]]

_SPF = {
    SpfWord.PASS: "R_SPF_ALLOW",
    SpfWord.FAIL: "R_SPF_FAIL",
    SpfWord.SOFTFAIL: "R_SPF_SOFTFAIL",
    SpfWord.NEUTRAL: "R_SPF_NEUTRAL",
    SpfWord.NONE: "R_SPF_NA",
    SpfWord.TEMPERROR: "R_SPF_DNSFAIL",
    SpfWord.PERMERROR: "R_SPF_PERMFAIL",
}
_DKIM = {
    DkimWord.PASS: "R_DKIM_ALLOW",
    DkimWord.FAIL: "R_DKIM_REJECT",
    DkimWord.TEMPERROR: "R_DKIM_TEMPFAIL",
    DkimWord.PERMERROR: "R_DKIM_PERMFAIL",
    DkimWord.POLICY: "R_DKIM_PERMFAIL",
    DkimWord.NEUTRAL: "R_DKIM_PERMFAIL",
    DkimWord.NONE: "R_DKIM_NA",
}
_DMARC = {
    DmarcWord.PASS: "DMARC_POLICY_ALLOW",
    DmarcWord.NONE: "DMARC_NA",
    DmarcWord.TEMPERROR: "DMARC_DNSFAIL",
    DmarcWord.PERMERROR: "DMARC_BAD_POLICY",
}
_DMARC_FAILS = {"reject": "DMARC_POLICY_REJECT", "quarantine": "DMARC_POLICY_QUARANTINE"}
# A chain that passes gives no points: whom to trust is for the policy to say.
_ARC = {ArcWord.NONE: "ARC_NA", ArcWord.FAIL: "ARC_REJECT", ArcWord.TEMPERROR: "ARC_DNSFAIL"}

_OFF = {
    "groups_disabled": ["spf", "dkim", "dmarc", "arc"],
    # What finds them, where the groups do not name it.
    "symbols_disabled": ["SPF_CHECK", "DKIM_CHECK", "DMARC_CHECK", "ARC_CHECK"],
}
# By the name of its own command Rspamd knows what somebody only tries: its modules that learn or count (neural,
# reputation, ratelimit, greylist) then look on; and by the flag it is not in the history of scans.
_OF_A_TRIAL = (("User-Agent", "rspamc"), ("Flags", "no_log"))


def request_headers(request: SpamRequest, hostname: str) -> list[tuple[str, str]]:
    """Return the fields, each a name that Rspamd knows. hostname: ours."""
    envelope, client = request.envelope, request.envelope.client
    fields = [
        ("Queue-Id", envelope.id),
        ("MTA-Name", hostname),
        ("IP", client.address),
        ("Helo", client.helo),
        ("Hostname", client.name or request.client_name or ""),
        ("User", client.login or ""),
        *_tls(client),
        *(_OF_A_TRIAL if request.trial else ()),
        ("From", ascii_address(envelope.sender) if envelope.sender else "<>"),
        *(("Rcpt", ascii_address(one.address)) for one in envelope.recipients[:MAX_RECIPIENTS]),
        # Without it Rspamd stops once its own threshold is reached; those of our policy may be higher.
        ("Pass", "all"),
        ("Settings", json.dumps(_OFF | {"symbols": our_symbols(request)}, separators=(",", ":"))),
    ]
    return [(name, value if name == "Settings" else _one_line(value)) for name, value in fields if value]


def our_symbols(request: SpamRequest) -> _Symbols:
    """Return our findings as Rspamd's symbols, with what it shows beside each; empty where nothing was checked."""
    found: _Symbols = {}
    if request.spf is not None:
        found[_SPF[request.spf.word]] = _options(*_spf_options(request.spf))
    for result in request.dkim:
        found.setdefault(_dkim_symbol(result), {"options": []})["options"] += _dkim_options(result)
    if request.dmarc is not None:
        found[_dmarc_symbol(request.dmarc)] = _options(request.dmarc.author_domain)
    if request.arc is not None:
        found.update(_arc_symbols(request.arc))
    return found


def ascii_address(address: str) -> str:
    """Return an address in ASCII.

    Rspamd 3.4 takes any other for a broken message and gives it 8 points. RFC 5890 §2.3.2.1: domains have A-labels;
    a local part (RFC 6531) has no such form, so what is not ASCII there becomes a question mark.
    """
    local_part, at, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = canonical(domain)
        except BadName:
            pass
    if not local_part.startswith('"'):
        local_part = _NO_ATOM.sub("?", local_part)
    return _one_line(f"{local_part}{at}{domain}")


def _one_line(value: str) -> str:
    return _UNSAFE.sub("?", value[:_MAX_VALUE])


def _tls(client: Client) -> Iterator[tuple[str, str]]:
    version, _, cipher = (client.tls or "").partition(" ")
    if version and cipher:
        yield "TLS-Version", version
        yield "TLS-Cipher", cipher


def _options(*texts: str) -> dict[str, list[str]]:
    return {"options": [_one_line(text)[:_MAX_OPTION] for text in texts if text]}


def _spf_options(result: SpfResult) -> tuple[str, ...]:
    return result.domain, result.mechanism


def _dkim_symbol(result: DkimResult) -> str:
    # One that covers only the beginning of the body proves nothing.
    return "R_DKIM_PERMFAIL" if result.word is DkimWord.PASS and not result.proves_domain else _DKIM[result.word]


def _dkim_options(result: DkimResult) -> list[str]:
    return _options(f"{result.domain}:s={result.selector}" if result.domain else "")["options"]


def _dmarc_symbol(result: DmarcResult) -> str:
    if result.word is DmarcWord.FAIL:
        return _DMARC_FAILS.get(result.disposition.value, "DMARC_POLICY_SOFTFAIL")
    return _DMARC[result.word]


def _arc_symbols(result: ArcResult) -> _Symbols:
    return {_ARC[result.word]: _options()} if result.word in _ARC else {}
