"""Folder names of a Maildir can lead nowhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.maildir import folder_name, mailbox_of
from shared.envelope import Recipient


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("demo", "demo"),
        ("Post.Master+x", "post.master+x"),
        (".", "%2E"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ('"a b"', "%22a%20b%22"),
        ("a\0b", "a%00b"),
        ("a\\b:c,d", "a%5Cb%3Ac,d"),
        ("jürgen", "j%C3%BCrgen"),
        ("[IPv6:::1]", "%5Bipv6%3A%3A%3A1%5D"),
        ("", "%"),
    ],
)
def test_a_name_is_one_component(text: str, name: str) -> None:
    assert folder_name(text) == name


@given(st.text(max_size=300))
def test_any_text_stays_one_short_component(text: str) -> None:
    name = folder_name(text.encode("utf-8", "ignore").decode())
    assert "/" not in name
    assert name not in ("", ".", "..")
    assert len(name.encode()) <= 255


def test_long_names_that_begin_alike_stay_apart() -> None:
    assert folder_name("a" * 250) != folder_name("a" * 251)


def test_a_recipients_mailbox_lies_below_the_root() -> None:
    assert mailbox_of(Path("/m"), Recipient('"a@b"@Example.org')) == Path("/m/example.org/%22a@b%22")
