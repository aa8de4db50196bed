"""Octets to text (PURE).

Only charsets of mail: Python has codecs that cost time by the square of the length (punycode), or unpack (zlib).
"""

import codecs

_KNOWN = frozenset(
    {
        "ascii", "utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-7", "big5", "big5hkscs", "gb2312", "gbk", "gb18030",
        "hz",
        "euc_jp", "shift_jis", "cp932", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "euc_kr", "cp949",
        "iso2022_kr", "koi8-r", "koi8-u", "tis-620", "cp437", "cp850", "cp852", "cp866", "cp874", "mac-roman",
        *(f"iso8859-{number}" for number in range(1, 17)),
        *(f"cp125{number}" for number in range(9)),
    }
)  # fmt: skip


def decoded(octets: bytes, charset: str) -> str:
    """Return the text of octets; what does not fit the charset, or has one that nobody knows, shows as such."""
    try:
        name = codecs.lookup(charset.strip() or "utf-8").name
    except (LookupError, ValueError):
        name = "utf-8"
    # NUL is in no text, and no database or page likes it.
    return octets.decode(name if name in _KNOWN else "utf-8", "replace").replace("\0", "\ufffd")
