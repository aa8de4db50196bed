"""What other programs sign holds, with their keys fetched by our resolver: OpenDKIM, and Rspamd, each by RSA and Ed25519.

The signatures are made by the test: how those programs fold, order and canonicalize is not in our hands.
"""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.local import rspamd as local
from services.content.auth.results import DkimReason, DkimResult, DkimWord
from services.content.checks.digests import digest_body
from services.content.checks.dkim import check_dkim
from shared.auth.message import split_message
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer
from tests.opendkim import OpenDkim
from tests.rspamd import Rspamd
from tests.unit.services.content.auth.signing import rsa_keys

HEADER = (
    b"Received: from a.example\r\n\tby b.example; Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"From: Joe <joe@example.org>\r\nTo: Amy <amy@example.net>,\r\n Bob <bob@example.net>\r\n"
    b"Subject: a \t folded\r\n  subject =?utf-8?q?=C3=BC?=\r\nDate: Mon, 24 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
)
BODIES = {
    "plain": b"Hello Amy,\r\n\r\nthis is it.\r\n",
    "spaces": b"Hello  Amy, \r\n\r\n\tthis\t is it.\t \r\n \r\n\r\n\r\n",
    "empty": b"",
    "large": b"A line of  text, with \xc3\xbc. \t\r\n" * 100_000,
}
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ED25519_PUBLIC = ED25519.public_key().public_bytes_raw()
RECORDS = {
    "rsa": rsa_keys()[1].decode(),
    "ed25519": "v=DKIM1; k=ed25519; p=" + base64.b64encode(ED25519_PUBLIC).decode(),
}
KEYS = {"rsa": rsa_keys()[0], "ed25519": ED25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())}
Sign = Callable[[bytes], bytes]


async def verify(message: bytes) -> DkimResult:
    zone = {f"{kind}._domainkey.example.org": {"TXT": record} for kind, record in RECORDS.items()}
    async with DnsServer(zone) as server:
        resolver = CachingResolver([server.address])
        try:
            split = split_message(message)
            (result,) = await check_dkim(resolver, split, await digest_body(split))
        finally:
            await resolver.close()
    return result


async def holds_until_it_is_changed(signed: bytes, kind: str) -> None:
    result = await verify(signed)
    assert (result.word, result.reason) == (DkimWord.PASS, DkimReason.VERIFIED), result.evidence
    assert (result.domain, result.selector, result.algorithm) == ("example.org", kind, f"{kind}-sha256")
    assert (await verify(signed + b"P.S.\r\n")).reason is DkimReason.BODY_CHANGED
    assert (await verify(signed.replace(b"Joe <", b"Eve <"))).reason is DkimReason.SIGNATURE_WRONG
    assert (await verify(b"From: eve@evil.test\r\n" + signed)).word is not DkimWord.PASS


@pytest.fixture(scope="module", params=["rsa", "ed25519"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Not by Ed25519 with a simple header: what OpenDKIM 2.11.0 makes of it, it takes for wrong itself (as dkimpy does).
OPENDKIM = [
    *[("rsa", form) for form in ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")],
    *[("ed25519", form) for form in ("relaxed/relaxed", "relaxed/simple")],
]


@pytest.mark.parametrize("kind, canonicalization", OPENDKIM)
async def test_what_opendkim_signs_holds(tmp_path: Path, kind: str, canonicalization: str) -> None:
    with OpenDkim(
        tmp_path,
        domain="example.org",
        selector=kind,
        key=KEYS[kind],
        algorithm=f"{kind}-sha256",
        canonicalization=canonicalization,
    ) as signer:
        messages = [signer.sign(HEADER + body) for body in BODIES.values()]
    for signed in messages:
        assert f"c={canonicalization};".encode() in signed
        await holds_until_it_is_changed(signed, kind)


SIGNING = """\
use_esld = false;
domain { example.org {
    path = "$LOCAL_CONFDIR/local.d/KIND.key";
    selector = "KIND";
} }
"""


@pytest.fixture(scope="module")
def rspamd(tmp_path_factory: pytest.TempPathFactory, kind: str) -> Iterator[Rspamd]:
    """An Rspamd that signs, which Gatepost's own does not."""
    rules = Path(local.__file__).parents[1] / "rspamd"
    options = (rules / "override.d/options.inc").read_text()
    key = KEYS["rsa"].decode() if kind == "rsa" else base64.b64encode(bytes(range(32)) + ED25519_PUBLIC).decode()
    engine = Rspamd(
        tmp_path_factory.mktemp("rspamd"),
        rules={
            "off.conf": (rules / "off.conf").read_text().replace("dkim_signing { enabled = false; }", ""),
            # Compiling the long list of top-level domains would take seconds, and signing does not need it.
            "override.d/options.inc": f'{options}\nurl_tld = "$LOCAL_CONFDIR/local.d/top_level_domains";\n',
            "local.d/top_level_domains": "org\nnet\n",
            "local.d/dkim_signing.conf": SIGNING.replace("KIND", kind),
            f"local.d/{kind}.key": key,
        },
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


def sign_by_rspamd(engine: Rspamd, message: bytes) -> bytes:
    link = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=20)
    try:
        link.request("POST", "/checkv2", message, {"IP": "127.0.0.1", "From": "joe@example.org"})
        answer = json.loads(link.getresponse().read())
    finally:
        link.close()
    signature: str = answer["dkim-signature"]
    return b"DKIM-Signature: " + signature.encode() + b"\r\n" + message


@pytest.mark.parametrize("body", BODIES)
async def test_what_rspamd_signs_holds(rspamd: Rspamd, kind: str, body: str) -> None:
    await holds_until_it_is_changed(sign_by_rspamd(rspamd, HEADER + BODIES[body]), kind)
