"""Parameters of MAIL and RCPT."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.parameters import (
    MailParameters,
    ParameterError,
    RcptParameters,
    decode_xtext,
    parse_mail_parameters,
    parse_rcpt_parameters,
    split_path,
)
from shared.envelope import Body, Notify, Ret


@pytest.mark.parametrize(
    "text, path, rest",
    [
        ("<a@b.test>", "<a@b.test>", ""),
        ("<a@b.test> SIZE=1 BODY=7BIT", "<a@b.test>", "SIZE=1 BODY=7BIT"),
        ('<"a> b"@b.test>  X', '<"a> b"@b.test>', "X"),
        ('<"a\\"> b"@b.test>', '<"a\\"> b"@b.test>', ""),
        ("<>", "<>", ""),
    ],
)
def test_a_path_is_split_from_its_parameters(text: str, path: str, rest: str) -> None:
    assert split_path(text) == (path, rest)


@pytest.mark.parametrize("text", ["", "a@b.test", "<a@b.test", "<a@b.test>x", "<<a@b.test>>", '<"a@b.test>', "<a b>"])
def test_what_is_no_path_is_501(text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        split_path(text)
    assert caught.value.reply.code == 501


def test_mail_parameters_are_read() -> None:
    text = "SIZE=12 body=8bitmime SMTPUTF8 RET=full ENVID=a+2Bb AUTH=<>"
    assert parse_mail_parameters(text, dsn=True, auth=True) == MailParameters(
        12, Body.EIGHT_BIT, smtputf8=True, ret=Ret.FULL, envid="a+2Bb"
    )


def test_rcpt_parameters_are_read() -> None:
    text = "NOTIFY=failure,DELAY ORCPT=rfc822;a+40b"
    assert parse_rcpt_parameters(text, dsn=True) == RcptParameters((Notify.FAILURE, Notify.DELAY), "rfc822;a+40b")


@pytest.mark.parametrize(
    "text, code",
    [
        ("SIZE", 501),
        ("SIZE=", 501),
        ("SIZE=-1", 501),
        ("SIZE=" + "1" * 21, 501),
        ("SIZE=\u0661", 501),
        ("BODY", 501),
        ("RET=HALF", 501),
        ("ENVID=a=b", 501),
        ("ENVID=a+2b", 501),
        ("ENVID=a+0Ab", 501),
        ("ENVID=" + "x" * 101, 501),
        ("=1", 501),
        ("X=1", 555),
        ("BODY=BINARYMIME", 555),
        ("RET=FULL RET=FULL", 501),
    ],
)
def test_wrong_mail_parameters_are_refused(text: str, code: int) -> None:
    with pytest.raises(ParameterError) as caught:
        parse_mail_parameters(text, dsn=True, auth=False)
    assert caught.value.reply.code == code


@pytest.mark.parametrize(
    "text, code",
    [
        ("NOTIFY=", 501),
        ("NOTIFY=NEVER,SUCCESS", 501),
        ("NOTIFY=DELAY,DELAY", 501),
        ("NOTIFY=SOON", 501),
        ("ORCPT=a@b.test", 501),
        ("ORCPT=rfc822;", 501),
        ("ORCPT=rfc822;a+00", 501),
        ("ORCPT=rfc822;" + "x" * 500, 501),
        ("SIZE=1", 555),
    ],
)
def test_wrong_rcpt_parameters_are_refused(text: str, code: int) -> None:
    with pytest.raises(ParameterError) as caught:
        parse_rcpt_parameters(text, dsn=True)
    assert caught.value.reply.code == code


def test_dsn_parameters_are_unknown_where_dsn_is_not_offered() -> None:
    with pytest.raises(ParameterError):
        parse_mail_parameters("RET=FULL", dsn=False, auth=False)
    with pytest.raises(ParameterError):
        parse_rcpt_parameters("NOTIFY=NEVER", dsn=False)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)))
def test_xtext_comes_back(text: str) -> None:
    encoded = "".join(f"+{ord(char):02X}" if char in "+=" else char for char in text)
    assert decode_xtext(encoded) == text


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (
        lambda: split_path(text),
        lambda: parse_mail_parameters(text, dsn=True, auth=True),
        lambda: parse_rcpt_parameters(text, dsn=True),
    ):
        with contextlib.suppress(ParameterError):
            parse()


def test_requiretls_is_taken_where_it_was_offered_alone() -> None:
    assert parse_mail_parameters("requiretls", dsn=False, auth=False, requiretls=True).requiretls
    assert not parse_mail_parameters("", dsn=False, auth=False, requiretls=True).requiretls
    for text, offered, code in (("REQUIRETLS", False, 555), ("REQUIRETLS=1", True, 501)):
        with pytest.raises(ParameterError) as caught:
            parse_mail_parameters(text, dsn=False, auth=False, requiretls=offered)
        assert caught.value.reply.code == code
