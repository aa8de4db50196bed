"""Generates docs/policy.md, docs/settings.md and docs/standards.md from models and comments.

Input: the models of shared/policy.py and services/*/settings.py; comments that begin with a standard.
Output: the three files; with `--check`, exit 1 where one differs from what would be written.
"""

import enum
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from services.console.settings import ConsoleSettings
from services.content.settings import ContentSettings
from services.delivery.settings import DeliverySettings
from services.edge.settings import EdgeSettings
from shared.policy import Policy
from shared.policy.table import Rate

HERE = Path(__file__).parent
ROOT = HERE.parent
_UNITS = {"_s": "seconds", "_bytes": "octets", "_ms": "milliseconds"}
_STANDARD = re.compile(r"#\s*((?:RFC \d{3,5})(?:\s+§[\d.]+)?)[^:]*:\s*(.+)")


def type_words(annotation: Any) -> str:
    """Return a type as an administrator reads it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(one) for one in arguments if one is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{one!r}`".replace("'", '"') for one in arguments)
    if origin in (list, tuple):
        return f"list of {type_words(arguments[0])}"
    if origin is dict:
        return f"table of {type_words(arguments[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if annotation is SecretStr:
        return "secret text"
    if isinstance(annotation, type) and annotation.__name__ in ("IPv4Network", "IPv6Network"):
        return "network"
    if annotation is Rate:
        return 'rate such as `"100/min"`, or `"unlimited"`'
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    return names.get(annotation, re.sub(r"(?<!^)(?=[A-Z])", " ", annotation.__name__).lower())


def default_words(field: FieldInfo) -> str:
    """Return a field's default as TOML."""
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return '`"unlimited"`' if _is_rate(field.annotation) else "none"
    return f"`{_toml(value)}`"


def _is_rate(annotation: Any) -> bool:
    return annotation is Rate or any(_is_rate(one) for one in get_args(annotation))


def standard(field: FieldInfo) -> str:
    """Return the standard that a key follows, if it names one."""
    extra = field.json_schema_extra
    return str(extra.get("standard", "")) if isinstance(extra, dict) else ""


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case enum.Enum():
            return f'"{value.value}"'
        case list() | tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case int() | float():
            return str(value)
        case _:
            return f'"{value}"'


def bounds(field: FieldInfo) -> str:
    """Return what a value must be, beside its type."""
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{words[name]} {getattr(rule, name)}" for rule in field.metadata for name in words if hasattr(rule, name)]
    return ", ".join(found)


def _tables(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each table of a document with its TOML name, outermost first."""
    yield path, model
    for name, field in model.model_fields.items():
        inner, step = _inner_model(field.annotation), f"{path}.{name}" if path else name
        if inner is not None:
            kind = get_origin(field.annotation)
            yield from _tables(inner, f'{step}."NAME"' if kind is dict else f"{step}[]" if kind is list else step)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    for one in (annotation, *get_args(annotation)):
        if inspect.isclass(one) and issubclass(one, BaseModel):
            return one
    return None


def _heading(path: str) -> str:
    """Return a path as TOML heads its table; lists of tables, which `_tables` puts in brackets, have double ones."""
    plain = path.replace("[", "").replace("]", "")
    return f"[[{plain}]]" if path.endswith("[]") else f"[{plain}]"


def table_section(path: str, model: type[BaseModel]) -> list[str]:
    """Return one table's part of a page."""
    title = f"`{_heading(path)}`" if path else "Top level"
    lines = [f"### {title}", "", " ".join((inspect.getdoc(model) or "").split()), ""]
    rows = [(name, field) for name, field in model.model_fields.items() if _inner_model(field.annotation) is None]
    if rows:
        standards = any(standard(field) for _, field in rows)
        lines += ["| key | type | unit | default | bounds |" + (" standard |" if standards else "")]
        lines += ["|---|---|---|---|---|" + ("---|" if standards else "")]
        for name, field in rows:
            unit = next((words for ending, words in _UNITS.items() if name.endswith(ending)), "")
            cells = [f"`{name}`", type_words(field.annotation), unit, default_words(field), bounds(field)]
            cells += [standard(field)] if standards else []
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return lines


def policy_page() -> str:
    """Return docs/policy.md."""
    lines = [
        "# The policy document",
        "",
        "Generated by `python -m docs.generate`. One TOML document holds the administrator's rules; every key has a",
        "safe default, and an unknown key is an error that names it. `gatepost policy check FILE` examines one,",
        '`gatepost policy apply FILE --reason "…"` puts it in force on every stage.',
        "",
        'A table `domains."NAME".checks` holds what differs from the global `checks` for mail to that domain, key by',
        'key; so does `listeners."NAME".limits` for the keys of `limits` that concern one session. `outbound` has the',
        "tables of `checks`, for mail of our own users; it holds what differs from `checks`, and",
        '`domains."NAME".outbound` what differs from it for mail from that domain. Both have no `spf`, `dkim`,',
        "`dmarc`, `arc` and `iprev`, which are asked of mail from outside alone. A title in double brackets is a",
        "list of tables, whose order counts: the first rule that matches wins.",
        "",
    ]
    for path, model in _tables(Policy, ""):
        # What is inherited has the keys of the global tables.
        if not path.startswith(('domains."NAME".', 'listeners."NAME".limits', "outbound")):
            lines += table_section(path, model)
    return "\n".join(lines)


def settings_page() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Generated by `python -m docs.generate`. Each service has one TOML file, named by `GATEPOST_SETTINGS_FILE`,",
        "that only its owner can read (else the service refuses to start). `GATEPOST_<SECTION>__<KEY>` in the",
        "environment overrides a key, and `GATEPOST_<SECTION>__<KEY>_FILE` names a file that holds its value. Rules",
        "about mail are not settings: they are policy (policy.md).",
        "",
        "`make run` generates these files under `var/settings/`; files of the same names in the folder that",
        "`GATEPOST_SETTINGS` names are laid over them (`edge.toml`, `content.toml`, `delivery.toml`, `console.toml`,",
        "and `rabbitmq.toml`, `clamd.toml` and `rspamd.toml` for the ports of the local broker and engines).",
        "",
    ]
    pages: dict[str, type[BaseModel]] = {
        "edge": EdgeSettings,
        "content": ContentSettings,
        "delivery": DeliverySettings,
        "console": ConsoleSettings,
    }
    seen: set[type[BaseModel]] = set()
    for service, model in pages.items():
        lines += [f"## {service}", ""]
        for path, table in _tables(model, ""):
            if table not in seen:
                lines += table_section(path, table)
                seen.add(table)
    return "\n".join(lines)


def standards_page() -> str:
    """Return docs/standards.md: each rule of a standard and the line that enforces it."""
    lines = [
        "# Standards, and where they are enforced",
        "",
        "Generated by `python -m docs.generate` from the comments above the enforcing lines.",
        "",
        "| standard | rule | where |",
        "|---|---|---|",
    ]
    rows = []
    for file in sorted([*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]):
        for text in file.read_text(encoding="utf-8").splitlines():
            matched = _STANDARD.search(text)
            if matched:
                number = int(re.findall(r"\d+", matched.group(1))[0])
                rule = matched.group(2).replace("|", "\\|")
                rows.append((number, matched.group(1), rule, str(file.relative_to(ROOT))))
    lines += [f"| {standard} | {rule} | `{where}` |" for _, standard, rule, where in sorted(rows)]
    return "\n".join([*lines, ""])


def main() -> int:
    """Write the pages, or check them."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, page in (("policy", policy_page()), ("settings", settings_page()), ("standards", standards_page())):
        path = HERE / f"{name}.md"
        text = page.rstrip() + "\n"
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            stale.append(str(path.relative_to(ROOT)))
        elif not check:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run: python -m docs.generate", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
