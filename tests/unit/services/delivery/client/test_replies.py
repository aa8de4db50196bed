"""Replies are put together from any pieces, and what is no reply is told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.client.replies import LINE_LIMIT, LINES_LIMIT, HopReply, ReplyError, ReplyReader
from shared.reply import Reply

GOOD = {
    b"250 ok\r\n": (250, (b"ok",)),
    b"250\r\n": (250, (b"",)),
    b"250-a\r\n250-b\r\n250 c\r\n": (250, (b"a", b"b", b"c")),
    b"250-\r\n250 \r\n": (250, (b"", b"")),
    b"354 go\n": (354, (b"go",)),
}


@pytest.mark.parametrize("octets", GOOD)
def test_a_reply_is_read(octets: bytes) -> None:
    (reply,) = ReplyReader().feed(octets)
    assert (reply.code, reply.lines) == GOOD[octets]


@given(st.data())
def test_pieces_make_no_difference(data: st.DataObject) -> None:
    octets = b"220 hello\r\n250-a\r\n250 b\r\n354 go\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    reader = ReplyReader()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        found += reader.feed(octets[start:end])
    assert [reply.code for reply in found] == [220, 250, 354]
    assert reader.is_empty


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n",
        b"25 ok\r\n",
        b"150 wait\r\n",
        b"650 ok\r\n",
        b"abc\r\n",
        b"250-a\r\n251 b\r\n",
        b"x" * (LINE_LIMIT + 1),
        b"250-x\r\n" * (LINES_LIMIT + 1),
    ],
)
def test_what_is_no_reply_is_an_error(octets: bytes) -> None:
    with pytest.raises(ReplyError):
        ReplyReader().feed(octets)


@pytest.mark.parametrize("fault", [b"nonsense\r\n", b"x" * (LINE_LIMIT + 1)])
def test_what_was_said_before_the_nonsense_stands(fault: bytes) -> None:
    with pytest.raises(ReplyError) as raised:
        ReplyReader().feed(b"250 2.0.0 ok\r\n" + fault)
    assert raised.value.before == (HopReply(250, (b"2.0.0 ok",)),)


@given(st.binary(max_size=200))
def test_any_octets_are_replies_or_an_error(octets: bytes) -> None:
    try:
        replies = ReplyReader().feed(octets)
    except ReplyError:
        return
    for reply in replies:
        assert "\n" not in str(reply.as_reply())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (HopReply(250, (b"2.1.5 ok",)), Reply(250, "2.1.5", "ok")),
        (HopReply(250, (b"2.0.0",)), Reply(250, "2.0.0", "")),
        (HopReply(250, (b"ok",)), Reply(250, "", "ok")),
        (HopReply(550, (b"2.0.0 liar",)), Reply(550, "", "2.0.0 liar")),
        (HopReply(550, (b"5.7.1 a", b"5.7.1 b")), Reply(550, "5.7.1", "a b")),
        (HopReply(550, (b"5.7.1 a", b"b")), Reply(550, "5.7.1", "a b")),
        (HopReply(550, (b"5.7.1234 x",)), Reply(550, "", "5.7.1234 x")),
        (HopReply(550, (b"gr\xc3\xbc\xc3\x9fe \xff",)), Reply(550, "", "grüße \ufffd")),
    ],
)
def test_the_enhanced_code_is_taken_where_it_fits(reply: HopReply, expected: Reply) -> None:
    assert reply.as_reply() == expected
