"""Owns reading a DMARC pass out of an ARC-Authentication-Results field, by authres. PURE.

Input: the field's value, as hostile as can be. Output: whether it says that the author domain was proved.
Standards: RFC 8617 §4.1.1, RFC 8601 §2.2, RFC 5322 §3.2.2 (comments, which nest).
On failure: what cannot be read says nothing. authres recurses, and takes time that grows with the square of its input:
it is given one short result at a time, without comments.
"""

import re
from collections.abc import Iterator

import authres
import authres.dmarc

from shared.auth.comments import end_of_comment
from shared.auth.domain import host_name

_MAX_FIELD_BYTES = 16_384
_MAX_RESULT_CHARACTERS = 512
_PART = re.compile(r'"(?:[^"\\]|\\.)*+"|[();]|[^"\\();]++', re.DOTALL)
_DMARC = re.compile(r"\s*dmarc\s*[/=]", re.IGNORECASE)
_FEATURES = authres.FeatureContext(authres.dmarc)


def says_dmarc_passed(value: bytes, author_domain: str) -> bool:
    """Tell whether the field says dmarc=pass for this domain in From, and nothing else of DMARC."""
    if len(value) > _MAX_FIELD_BYTES:
        return False
    text = value.decode("ascii", "replace").replace("\r\n", "")
    try:
        found = [result for result in _results(text) if _DMARC.match(result)]
        return len(found) == 1 and _is_pass(found[0], author_domain)
    except Exception:  # whatever authres makes of it: it could not be read
        return False


def _is_pass(result: str, author_domain: str) -> bool:
    if len(result) > _MAX_RESULT_CHARACTERS:
        return False
    (parsed,) = _FEATURES.parse_value(f"unknown; {result}").results
    domains = {
        host_name(str(one.value)) for one in parsed.properties if one.type.lower() == "header" and one.name == "from"
    }
    return parsed.result.lower() == "pass" and domains == {author_domain}


def _results(text: str) -> Iterator[str]:
    """Yield what stands between semicolons, without comments. Raises ValueError if it is not balanced."""
    position, parts = 0, list[str]()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError("an open quote, or a backslash out of place")
        position = part.end()
        if part.group() == "(":
            position = _after_comment(text, part.start())
            parts.append(" ")
        elif part.group() == ";":
            yield "".join(parts)
            parts = []
        else:
            parts.append(part.group())
    yield "".join(parts)


def _after_comment(text: str, start: int) -> int:
    end = end_of_comment(text, start)
    if end is None:
        raise ValueError("an open comment")
    return end
