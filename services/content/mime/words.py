"""Text as header fields encode it: encoded words, percent signs, charsets (PURE).

Standards: RFC 2047, RFC 2231 §4. Charsets are looked up in a closed list: a name that a stranger chose must neither
load code nor fill a cache. What is no text in its charset is read as UTF-8, then as Latin-1, and never raises.
"""

import binascii
import re
from urllib.parse import unquote_to_bytes

_CODECS = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unicode-1-1-utf-8", ""), "utf-8"),
    **{f"iso-8859-{number}": f"iso8859-{number}" for number in (*range(1, 12), 13, 14, 15, 16)},
    **{f"windows-{number}": f"cp{number}" for number in range(1250, 1259)},
    **{f"cp{number}": f"cp{number}" for number in (*range(1250, 1259), 437, 850, 852, 855, 866, 874, 932, 949, 936)},
    **{name: name for name in ("koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5", "euc-jp", "iso-2022-jp")},
    **{name: name for name in ("shift_jis", "euc-kr", "iso-2022-kr", "utf-16", "utf-16le", "utf-16be", "utf-7")},
    "latin1": "iso8859-1",
    "iso-latin-1": "iso8859-1",
    "iso8859-1": "iso8859-1",
    "macintosh": "mac-roman",
    "ks_c_5601-1987": "cp949",
    "windows-31j": "cp932",
    "x-sjis": "cp932",
    "tis-620": "tis-620",
    "gb_2312-80": "gbk",
}
# RFC 2047 §2; spaces within are forgiven, as most mail clients do. The language is RFC 2231 §5.
_WORD = re.compile(r"=\?([^?*\s]{0,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(r"(\?=)\s+(?==\?)")
_MAX_WORDS = 200


def text_of(octets: bytes, charset: str = "") -> str:
    """Return octets as text; characters that cannot be are replaced."""
    if octets.isascii() and not charset:
        return octets.decode("ascii")
    codec = _CODECS.get(charset.lower().strip(), "")
    for name in (codec, "utf-8"):
        if name:
            try:
                return _whole(octets.decode(name))
            except (UnicodeError, ValueError):
                continue
    return octets.decode("latin-1")


def _whole(text: str) -> str:
    # UTF-7 and UTF-16 can bring lone surrogates, which no JSON and no log may have.
    return text.encode("utf-8", "replace").decode("utf-8")


def without_words(text: str) -> str:
    """Return a text with its encoded words decoded, also such as stand within words, twice."""
    for _ in range(2):
        if "=?" not in text:
            break
        # RFC 2047 §6.2: white space between encoded words is no content.
        text = _WORD.sub(_decoded_word, _BETWEEN.sub(r"\1", text), _MAX_WORDS)
    return text


def _decoded_word(match: re.Match[str]) -> str:
    charset, encoding, content = match.groups()
    octets = content.encode("utf-8", "replace")
    if encoding in "qQ":
        return text_of(binascii.a2b_qp(octets, header=True), charset)
    letters = octets.rstrip(b"=")
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", letters)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return text_of(binascii.a2b_base64(letters + b"=" * (-len(letters) % 4)), charset)


def extended_text(value: bytes) -> str:
    """Return the text of an extended value, `charset'language'text` (RFC 2231 §4)."""
    charset, mark, rest = value.partition(b"'")
    _, second, encoded = rest.partition(b"'")
    if not (mark and second):
        return text_of(unquote_to_bytes(value))
    return text_of(unquote_to_bytes(encoded), charset.decode("latin-1"))


def without_percent(text: str) -> str:
    """Return a text with `%41` written as `A`."""
    return text_of(unquote_to_bytes(text)) if "%" in text else text
