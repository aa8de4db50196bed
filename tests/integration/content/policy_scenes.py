"""Mails, zones and words of engines, of which each makes one key of the policy speak.

Owns: `SCENES`, by the key of `[checks]` that each is about.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from services.content.engines.scan import Clean, Encrypted, Exceeded, Infected, ScanResult
from services.content.spam import Forced, SpamReport, Symbol
from shared.dns.resolver import CachingResolver
from tests import packed
from tests.hostile import HEAD, TEXT, attachment, multipart
from tests.unit.services.content.auth.signing import MESSAGE, rsa_keys, sealed, sign

# good.test proves itself; the names below plain.test ask for nothing, so that SPF speaks alone.
_GOOD = """$ORIGIN good.test.
@      IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc IN TXT "v=DMARC1; p=reject"
mail   IN A 192.0.2.1
liar   IN A 192.0.2.99
"""
_PLAIN = """$ORIGIN plain.test.
@         IN TXT "v=spf1 ip4:192.0.2.0/24 -all"
fail      IN TXT "v=spf1 -all"
softfail  IN TXT "v=spf1 ~all"
neutral   IN TXT "v=spf1 ?all"
permerror IN TXT "v=spf1 wrong:term -all"
none      IN A 192.0.2.1
"""
_REVERSE = """$ORIGIN 2.0.192.in-addr.arpa.
1 IN PTR mail.good.test.
7 IN PTR liar.good.test.
"""
_ASKING = '$ORIGIN {name}.test.\n_dmarc IN TXT "v=DMARC1; p={name}"\n'


def open_zones(folder: Path) -> CachingResolver:
    """Return a resolver that knows all domains of the scenes, and has no nameserver."""
    public = rsa_keys()[1].decode()
    key = " ".join(f'"{public[place : place + 200]}"' for place in range(0, len(public), 200))
    zones = {"good.test": _GOOD, "plain.test": _PLAIN, "2.0.192.in-addr.arpa": _REVERSE}
    zones |= {f"{name}.test": _ASKING.format(name=name) for name in ("reject", "quarantine", "none")}
    zones |= {name: f"$ORIGIN {name}.\ns._domainkey IN TXT {key}\n" for name in ("one.test", "two.test")}
    zones["example.org"] = '$ORIGIN example.org.\n_dmarc IN TXT "v=DMARC1; p=reject"\n'
    # The tree walk of DMARC asks the top-level domains, too.
    zones |= {name: f'$ORIGIN {name}.\n@ IN TXT "a top-level domain"\n' for name in ("test", "org")}
    files = []
    for name, text in zones.items():
        files.append(folder / f"{name}.zone")
        files[-1].write_text(text, encoding="utf-8")
    return CachingResolver([], files)


def letter(author: str = "joe@good.test", body: bytes = TEXT) -> bytes:
    """Return a message of an author."""
    return HEAD.replace(b"joe@sender.test", author.encode()) + body


def with_file(name: str, content: bytes) -> bytes:
    """Return a message with an attachment, which is its part 2."""
    return letter(body=multipart(TEXT, attachment(content, name)))


_NOTHING = Clean("ClamAV")
_LITTLE = SpamReport("Rspamd", 1.5, (Symbol("MIME_HTML_ONLY", 1.5),))


@dataclass(frozen=True, slots=True)
class Scene:
    """A mail as it comes, and what the scripted engines say of it.

    also: lines that must stand beside the key in its table of checks. document: lines of the policy elsewhere.
    """

    message: bytes = field(default_factory=letter)
    sender: str = "joe@good.test"
    address: str = "192.0.2.1"
    helo: str = "mail.good.test"
    login: str | None = None
    virus: ScanResult = _NOTHING
    spam: SpamReport = _LITTLE
    also: tuple[str, ...] = ()
    document: tuple[str, ...] = ()


CLEAN = Scene()


def scored(score: float) -> Scene:
    """Return mail to which the antispam engine gives so many points."""
    return Scene(spam=SpamReport("Rspamd", score, (Symbol("BAYES_SPAM", 5.1, "99%"), Symbol("URIBL_BLACK", 3.0))))


def _forced(forced: Forced) -> Scene:
    return Scene(spam=SpamReport("Rspamd", 0.0, (Symbol("GTUBE", 0.0),), forced))


def _spf(word: str) -> Scene:
    return Scene(letter(f"joe@{word}.plain.test"), f"joe@{word}.plain.test")


def _asking(name: str) -> Scene:
    """Return mail whose author's domain asks for something where nothing proves it."""
    return Scene(letter(f"joe@{name}.test"))


_PLAIN_AUTHOR = MESSAGE.replace(b"joe@example.org", b"joe@plain.test")
_MACRO = 'Attribute VB_Name = "ThisDocument"\nSub Count()\n    MsgBox "hello"\nEnd Sub\n'
_NOISE = b"PK\x03\x04" + bytes(range(256)) * 20
_FORWARDED = sealed("one.test", message=MESSAGE)
# Files that nobody has seen are `attachments`' matter, too.
_UNSEEN = ('attachments.exceeded = "accept"',)
_TRUSTED = ('arc.trusted_sealers = ["one.test"]',)
# What one helper process may not unpack in its memory.
_BOMB = Scene(
    with_file("a.zip", packed.bomb(450, 2_000_000)),
    also=_UNSEEN,
    document=(
        "inspection.archive_ratio = 100_000",
        "inspection.unpacked_bytes = 1_000_000_000",
        "inspection.archive_files = 100_000",
    ),
)

# By key of `[checks]`; a scene makes its own key speak and no other that acts by default.
SCENES: dict[str, Scene] = {
    "antivirus.infected": Scene(virus=Infected("ClamAV", "Eicar-Signature")),
    "antivirus.encrypted": Scene(virus=Encrypted("ClamAV", "Heuristics.Encrypted.Zip")),
    "antivirus.exceeded": Scene(virus=Exceeded("ClamAV", "Heuristics.Limits.Exceeded.MaxFiles")),
    "antispam.rejected": _forced(Forced.REJECT),
    "antispam.soft_rejected": _forced(Forced.SOFT_REJECT),
    "attachments.blocked": Scene(with_file("setup.msi", b"hello\r\n")),
    "attachments.disguised": Scene(with_file("a.pdf.exe", b"hello\r\n"), also=("attachments.blocked_names = []",)),
    "attachments.encrypted": Scene(with_file("a.docx", packed.encrypted_document())),
    "attachments.macro": Scene(with_file("a.docm", packed.macro_document(_MACRO))),
    "attachments.suspicious_macro": Scene(with_file("a.docm", packed.macro_document())),
    "attachments.unreadable": Scene(with_file("a.zip", _NOISE)),
    "attachments.exceeded": Scene(
        with_file("a.zip", packed.zipped({"a.txt": b"hello", "b.txt": b"hello"})),
        document=("inspection.archive_files = 1",),
    ),
    **{f"spf.{word}": _spf(word) for word in ("fail", "softfail", "neutral", "none", "permerror")},
    "spf.helo_fail": replace(CLEAN, helo="fail.plain.test"),
    "dkim.fail": Scene(
        sign(_PLAIN_AUTHOR, domain=b"one.test").replace(b"this is it", b"this is another"), "joe@plain.test"
    ),
    "dkim.none": CLEAN,
    **{f"dmarc.{name}": _asking(name) for name in ("reject", "quarantine", "none")},
    "dmarc.absent": Scene(letter("joe@plain.test")),
    "dmarc.permerror": Scene(letter("joe@good.test, amy@plain.test")),
    "arc.trusted": Scene(_FORWARDED, also=_TRUSTED),
    "arc.fail": Scene(sealed("one.test", message=_PLAIN_AUTHOR).replace(b"this is it", b"this is another")),
    "iprev.fail": replace(CLEAN, address="192.0.2.7"),
    "iprev.permerror": replace(CLEAN, address="192.0.2.8"),
    "structure.exceeded": Scene(letter(body=multipart(*[TEXT] * 1100)), also=_UNSEEN),
    "structure.malformed": Scene(letter(body=b"Content-Transfer-Encoding: x-nothing\r\n" + TEXT)),
    "structure.ambiguous": Scene(letter(body=b"Content-Type: text/plain\r\n" + multipart(TEXT, TEXT))),
    "structure.overrun": _BOMB,
}
