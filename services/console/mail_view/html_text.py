"""The text of HTML, with its links written out (PURE).

HTML is neither rendered nor parsed to a tree, whose size a few kilobytes can drive up by the square: marks are skipped
one after the other. A browser may read hostile marks otherwise; what it would show is in the text all the same.
"""

import html
import re

_ATTRIBUTE = re.compile(
    r"""(?<![\w-])(href|src|action|alt)\s{0,20}=\s{0,20}("[^"]{0,4000}|'[^']{0,4000}|[^\s"'>]{1,4000})""", re.IGNORECASE
)
_TAG_LIMIT = 10_000
_BREAKS = frozenset(
    {
        "address", "article", "blockquote", "br", "center", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2",
        "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul", "title",
    }
)  # fmt: skip
_UNSEEN = frozenset({"script", "style", "template"})
_NAME = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]{0,30})")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*\n\s*")


def text_of_html(source: str) -> str:
    """Return what HTML says; every address that it names stands in brackets."""
    out: list[str] = []
    place = 0
    while True:
        mark = source.find("<", place)
        if mark < 0:
            out.append(_plain(source[place:]))
            break
        out.append(_plain(source[place:mark]))
        place = _behind_mark(source, mark, out)
    text = _SPACES.sub(" ", "".join(out))
    return _LINES.sub("\n\n", text).strip()


def _plain(text: str) -> str:
    return html.unescape(text.replace("\n", " "))


def _behind_mark(source: str, mark: int, out: list[str]) -> int:
    """Write what a mark at a place says, and return the place behind it."""
    if source.startswith("<!--", mark):
        end = source.find("-->", mark + 4)
        return len(source) if end < 0 else end + 3
    name = _NAME.match(source, mark + 1)
    if name is None:
        if source.startswith(("<!", "<?"), mark):
            end = source.find(">", mark)
            return len(source) if end < 0 else end + 1
        out.append("<")
        return mark + 1
    end = source.find(">", mark)
    end = len(source) if end < 0 else end
    tag = name[1].lower()
    closes = source.startswith("</", mark)
    if tag in _BREAKS:
        out.append("\n")
    if tag in ("td", "th"):
        out.append(" ")
    if not closes:
        out.append(_addresses(tag, source[mark : min(end, mark + _TAG_LIMIT)]))
        if tag in _UNSEEN:
            return _behind_unseen(source, end, tag)
    return end + 1


def _addresses(tag: str, text: str) -> str:
    named: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(text):
        named.setdefault(name.lower(), html.unescape(value.strip("\"'")).strip())
    told = [named[name] for name in ("href", "src", "action") if named.get(name)]
    said = f" [{tag}: {named['alt']}] " if named.get("alt") else ""
    return said + "".join(f" [{'link' if tag == 'a' else tag}: {address}] " for address in told)


def _behind_unseen(source: str, start: int, tag: str) -> int:
    # One pass: a search for each of many unclosed ones would cost time by the square.
    closing = re.compile(rf"</{tag}", re.IGNORECASE).search(source, start)
    return len(source) if closing is None else closing.start()
