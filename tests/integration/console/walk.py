"""Walking the console as docs/operations.md says: by the names of links, fields and buttons that a reader sees.

A step is text such as "*Queues*", "*Address* `192.0.2.7`, *Look*", "search for `X`" or "a click on `An offer`": a name in
asterisks is a field, which then gets what stands behind it, or else a link or a button; anything else is for people.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

_STEP = re.compile(
    r"search for `(?P<search>[^`]+)`|a click on `(?P<click>[^`]+)`|\*(?P<name>[^*]+)\*(?: `(?P<value>[^`]+)`)?"
)


@dataclass(slots=True)
class Form:
    """A form. labels: of its fields, by what stands before them. buttons: (text, path or none, name, value)."""

    action: str
    method: str
    is_multipart: bool
    fields: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    ids: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str | None, str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """Links and forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.forms: list[Form] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            multipart = values.get("enctype") == "multipart/form-data"
            self.forms.append(Form(values.get("action", ""), values.get("method", "get"), multipart))
        elif tag in ("a", "button", "label", "textarea"):
            self._open.append((tag, values, []))
        if self.forms:
            self._field(self.forms[-1], tag, values)

    def _field(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name = values.get("name", "")
        if tag in ("input", "select", "textarea") and name:
            form.ids[values.get("id", "")] = name
        if tag == "input" and name:
            kind = values.get("type", "text")
            if kind == "file":
                form.files.add(name)
            elif kind not in ("checkbox", "radio") or "checked" in values:
                form.fields[name] = values.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and (self._select not in form.fields or "selected" in values):
            form.fields[self._select] = values.get("value", "")

    def handle_data(self, data: str) -> None:
        for _, _, text in self._open:
            text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            return
        _, values, parts = self._open.pop()
        text = " ".join("".join(parts).split())
        if tag == "a":
            self.links.append((text, values.get("href", "")))
        elif self.forms and tag == "label":
            self.forms[-1].labels[text] = values.get("for", "")
        elif self.forms and tag == "button":
            button = (text, values.get("formaction"), values.get("name", ""), values.get("value", ""))
            self.forms[-1].buttons.append(button)
        elif self.forms and tag == "textarea":
            self.forms[-1].fields[values.get("name", "")] = "".join(parts)


class Walk:
    """One way through the console. seen: the pages, in their order. files: what is chosen in fields for files."""

    def __init__(self, browser: httpx.AsyncClient, files: dict[str, bytes]) -> None:
        self._browser = browser
        self._files = files
        self.seen: list[str] = []

    async def begin(self) -> None:
        await self._show(await self._browser.get("/"))

    async def step(self, words: str) -> None:
        """Do what a step says."""
        form: Form | None = None
        typed: dict[str, str] = {}
        for found in _STEP.finditer(words):
            page = Page(self.seen[-1])
            if found["search"]:
                await self._get("/messages", {"q": found["search"]})
            elif found["click"]:
                await self._get(_link(page, found["click"]))
            elif found["value"]:
                form, name = _field(page, found["name"], found["value"], form)
                typed[name] = found["value"]
            elif form is not None or _find_link(page, found["name"]) is None:
                pressed, button = _button(page, found["name"], form)
                await self._send(pressed, button, typed)
                form, typed = None, {}
            else:
                await self._get(_link(page, found["name"]))

    async def _send(self, form: Form, button: tuple[str, str | None, str, str], typed: dict[str, str]) -> None:
        _, path, name, value = button
        fields = form.fields | typed | ({name: value} if name else {})
        files = {one: (fields.pop(one), self._files[typed[one]]) for one in form.files & typed.keys()}
        if form.method.lower() == "get":
            await self._get(path or form.action, fields)
            return
        assert not files or form.is_multipart
        await self._show(await self._browser.post(path or form.action, data=fields, files=files or None))

    async def _get(self, path: str, params: dict[str, str] | None = None) -> None:
        await self._show(await self._browser.get(path, params=params))

    async def _show(self, answer: httpx.Response) -> None:
        while answer.is_redirect:
            # httpx would not bring the session's cookie.
            answer = await self._browser.get(answer.headers["location"])
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code}\n{answer.text[-2000:]}"
        self.seen.append(answer.text)


def _find_link(page: Page, text: str) -> str | None:
    exact = [href for shown, href in page.links if shown == text]
    near = [href for shown, href in page.links if shown.startswith(text)]
    return next(iter(exact or near), None)


def _link(page: Page, text: str) -> str:
    found = _find_link(page, text)
    assert found is not None, f"no link {text!r} among {page.links}"
    return found


def _field(page: Page, label: str, value: str, form: Form | None) -> tuple[Form, str]:
    for one in [form] if form is not None else page.forms:
        if one.labels.get(label) in one.ids:
            return one, one.ids[one.labels[label]]
    raise AssertionError(f"no field {label!r} for {value!r} among {[sorted(one.labels) for one in page.forms]}")


def _button(page: Page, text: str, form: Form | None) -> tuple[Form, tuple[str, str | None, str, str]]:
    for one in [form] if form is not None else page.forms:
        for button in one.buttons:
            if button[0] == text:
                return one, button
    raise AssertionError(f"no link and no button {text!r}: {[one.buttons for one in page.forms]}")
