"""Reading the author's domains out of From."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth.author import MAX_FROM_BYTES, Author, read_author
from shared.auth.message import split_message


def author(*values: str) -> Author:
    return read_author(split_message("".join(f"From: {value}\r\n" for value in values).encode() + b"\r\n"))


@pytest.mark.parametrize(
    "value, domain",
    [
        ("joe@Example.ORG", "example.org"),
        ("Joe <joe@example.org>", "example.org"),
        ("<joe@example.org>", "example.org"),
        ('"Joe (x) <evil@bad.example>" <joe@example.org>', "example.org"),
        ("Joe Q. Public <joe@example.org> (home: j@bad.example)", "example.org"),
        ("(a (nested \\) comment)) joe@example.org", "example.org"),
        ('"joe@bad.example"@example.org', "example.org"),
        ('"a \\" b" <joe@example.org>', "example.org"),
        ("=?utf-8?q?Joe=2C_=40?= <joe@example.org>", "example.org"),
        ("=?utf-8?q?x@bad.example?= <joe@example.org>", "example.org"),
        ("Joe\r\n\t<joe@example.org>", "example.org"),
        ("Jörg <jörg@bücher.example>", "xn--bcher-kva.example"),
        ("joe@example.org <joe@example.org>", "example.org"),
        ("Joe, Inc. <joe@example.org>", "example.org"),
        ("a@example.org, B <b@EXAMPLE.org>", "example.org"),
        ("Group: a@example.org, b@example.org;", "example.org"),
        ("joe @ example.org", "example.org"),
    ],
)
def test_one_domain_is_found(value: str, domain: str) -> None:
    assert author(value) == Author((domain,), 1)
    assert author(value).domain == domain


@pytest.mark.parametrize(
    "value, domains",
    [
        ("a@example.org, b@example.net", ("example.org", "example.net")),
        ("victim@example.net <x@example.org>", ("example.net", "example.org")),
        ("<a@example.org> <b@example.net>", ("example.org", "example.net")),
        ("G: a@example.org; b@example.net", ("example.org", "example.net")),
    ],
)
def test_all_domains_are_found_and_none_is_the_author(value: str, domains: tuple[str, ...]) -> None:
    assert author(value).domains == domains
    assert author(value).domain is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Joe",
        "<>",
        "Joe <joe>",
        "<@a.example,@b.example:u@c.example>",
        "<a@b@c.example>",
        "<<a@b.example>>",
        "Joe <joe@example.org",
        "joe@example.org>",
        '"open <joe@example.org>',
        "(open joe@example.org",
        "joe@[192.0.2.1]",
        "joe@",
        "@example.org",
        "joe@example.org.",
        "joe@example . org",
        "joe@example.org(x).evil.example",
        "<joe@example.org x>",
        "joe@exa_mple..org",
        "joe@-\x7f.org",
        "joe\\@example.org",
        "a@b.example " + "x" * MAX_FROM_BYTES,
        ", ".join(["a@b.example"] * 101),
    ],
)
def test_what_cannot_be_read_for_sure_is_a_fault(value: str) -> None:
    assert author(value).fault
    assert author(value).domain is None


def test_several_from_fields_are_a_fault_and_all_domains_are_returned() -> None:
    found = author("a@example.org", "b@example.net")
    assert found == Author(("example.org", "example.net"), 2, "there are 2 From fields")


def test_no_from_is_a_fault() -> None:
    assert author() == Author((), 0, "there is no From field")


def test_a_from_with_a_space_before_the_colon_counts() -> None:
    found = read_author(split_message(b"From : a@example.org\r\nFrom: b@example.net\r\n\r\n"))
    assert found.field_count == 2


def test_a_faulty_header_makes_the_author_unsure() -> None:
    assert read_author(split_message(b"From: a@example.org\r\nbroken\r\n\r\n")).domain is None


@pytest.mark.parametrize("text", ['"', "(", "<", "=?", "=?a?q?", "\\", '"a', "@", "a@b,", "[", " "])
def test_hostile_repetition_ends_soon(text: str) -> None:
    # Within the bound of the field, what is repeated is read once: the test's time limit would catch anything worse.
    author(text * (MAX_FROM_BYTES // len(text)))


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text('a@b.<>(),:;"\\[] \t\r\n=?q', max_size=60).map(str.encode))
def test_any_from_gives_an_author(value: bytes) -> None:
    found = read_author(split_message(b"From: " + value + b"\r\n\r\n"))
    assert found.domain is None or "." not in found.domain or "@" not in found.domain
