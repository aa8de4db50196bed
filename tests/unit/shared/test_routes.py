"""Rules of routes: one text form, read back as written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.routes import Route, RouteError, RouteKind, keeps_requiretls, parse_route


@pytest.mark.parametrize(
    ("text", "route", "written"),
    [
        ("mx", Route(RouteKind.MX), "mx"),
        ("smtp://mail.test", Route(RouteKind.SMTP, "mail.test", 25), "smtp://mail.test:25"),
        ("smtp://mail.test:2525", Route(RouteKind.SMTP, "mail.test", 2525), "smtp://mail.test:2525"),
        ("smtps://mail.test", Route(RouteKind.SMTPS, "mail.test", 465), "smtps://mail.test:465"),
        ("lmtp://127.0.0.1", Route(RouteKind.LMTP, "127.0.0.1", 24), "lmtp://127.0.0.1:24"),
        ("smtp://[::1]:2525", Route(RouteKind.SMTP, "::1", 2525), "smtp://[::1]:2525"),
        ("SMTP://Mail.Test", Route(RouteKind.SMTP, "mail.test", 25), "smtp://mail.test:25"),
        ("lmtp:/run/dovecot/lmtp", Route(RouteKind.LMTP_SOCKET, path="/run/dovecot/lmtp"), "lmtp:/run/dovecot/lmtp"),
        ("maildir:mail", Route(RouteKind.MAILDIR, path="mail"), "maildir:mail"),
        ("maildir:/srv/mail", Route(RouteKind.MAILDIR, path="/srv/mail"), "maildir:/srv/mail"),
    ],
)
def test_a_route_is_read_and_written_in_one_form(text: str, route: Route, written: str) -> None:
    assert parse_route(text) == route
    assert str(route) == written
    assert parse_route(written) == route


@pytest.mark.parametrize(
    "text",
    [
        *["", "MX", "mail.test", "mail.test:25", "http://mail.test", "file:///etc/passwd", "smtp:mail.test"],
        *["smtp://", "smtp://:25", "smtp:///x", "smtp://a b", "smtp://a_b", "smtp://-a.test", "smtp://a..b"],
        *["smtp://a.test:0x19", "smtp://a.test:99999", "smtp://a.test:-1", "smtp://a.test:0", "smtp://a.test:٢٥"],
        *["smtp://user@a.test", "smtp://u:p@a.test", "smtp://a.test/x", "smtp://a.test?x=1", "smtp://a.test#x"],
        *[
            "smtp://192.0.2.256",
            "smtp://a.test:",
            "smtp://[::1",
            "smtp://[::1]x",
            "smtp://::1",
            "smtp://[fe80::1%25eth0]",
            "smtp://é.test",
        ],
        *[
            "smtp://a.test\n",
            "smtp://a.test\r\nb",
            "smtp://a\ttest",
            " smtp://a.test",
            "smtp://a.test ",
            "smtp://a\x00",
        ],
        *["lmtp:", "lmtp:relative", "maildir:", "maildir:../x", "maildir:a/../b", "maildir:a\0b", "lmtp:/a\0b"],
    ],
)
def test_what_is_no_route_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(RouteError) as caught:
        parse_route(text)
    assert repr(text)[1:-1] in str(caught.value)


@settings(max_examples=100)
@given(st.sampled_from(["smtp://", "lmtp:", "maildir:", ""]), st.text(max_size=20))
def test_any_text_is_a_route_or_refused(kind: str, rest: str) -> None:
    try:
        route = parse_route(kind + rest)
    except RouteError:
        return
    assert parse_route(str(route)) == route


@pytest.mark.parametrize(
    ("text", "kept_without_tls"),
    [
        ("maildir:mail", True),
        ("lmtp:/run/dovecot/lmtp", True),
        ("lmtp://127.0.0.1:24", False),
        ("smtp://mail.test", False),
        ("smtps://mail.test", False),
        ("mx", False),
    ],
)
def test_requiretls_is_kept_over_tls_or_where_the_message_stays_on_the_host(text: str, kept_without_tls: bool) -> None:
    assert keeps_requiretls(parse_route(text), tls_off=False)
    assert keeps_requiretls(parse_route(text), tls_off=True) == kept_without_tls
