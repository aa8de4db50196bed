"""Rules of paths and addresses: tables of the standards, and what smugglers try."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.address import (
    Address,
    AddressError,
    canonical_local_part,
    is_routed_local_part,
    parse_address,
    parse_domain,
    parse_forward_path,
    parse_local_part,
    parse_reverse_path,
)

LABEL_63 = "a" * 63
DOMAIN_255 = ".".join([LABEL_63, LABEL_63, LABEL_63, "a" * 62 + "b"])[:255]
LOCAL_64 = "l" * 64


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("gatepost.test", "gatepost.test"),
        ("GATEPOST.Test", "gatepost.test"),
        ("localhost", "localhost"),
        ("3com.test", "3com.test"),
        ("a-b--c.test", "a-b--c.test"),
        ("1.2.3.4a", "1.2.3.4a"),
        (f"{LABEL_63}.test", f"{LABEL_63}.test"),
        (DOMAIN_255, DOMAIN_255),
        # RFC 5890: U-labels become A-labels, one spelling whatever was typed.
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test", "xn--bcher-kva.test"),
        ("bu\u0308cher.test", "xn--bcher-kva.test"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("XN--BCHER-KVA.test", "xn--bcher-kva.test"),
        ("straße.test", "xn--strae-oqa.test"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        # UTS 46: full-width letters and the other full stops.
        ("ｇａｔｅｐｏｓｔ.test", "gatepost.test"),
        ("gatepost。test", "gatepost.test"),
        # ... and it ignores what nobody sees.
        ("gate\u200bpost.test", "gatepost.test"),
        # RFC 5321 §4.1.3.
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("[ipv6:2001:DB8:0:0:0:0:0:1]", "[IPv6:2001:db8::1]"),
        ("[IPv6:::ffff:192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"),
    ],
)
def test_a_domain_has_one_spelling(text: str, domain: str) -> None:
    assert parse_domain(text) == domain
    assert parse_domain(domain) == domain


@pytest.mark.parametrize(
    "text",
    [
        *["", ".", "..", ".test", "test.", "gatepost.test.", "a..test", "bücher.test.", "a.b..", " a.test", "a.test "],
        *["a b.test", "a_b.test", "-a.test", "a-.test", "a.-", f"{'a' * 64}.test", "a." * 128 + "test"],
        *["192.0.2.1", "1", "a.1", "a@b", "a/b.test", "a%b.test", "a!b.test", 'a"b.test', "(c)a.test", "a.test(c)"],
        *["a\r\n.test", "a\x00.test", "a\x7f.test", "a\u2028.test", "a\u202e.test", "a\ud800.test"],
        *["a＠b.test", "a／b.test", "℀.test", "ü_.test", "-ü.test", "ü" * 64 + ".test", "\u0308.test", "ü..test"],
        *["[", "]", "[]", "[192.0.2]", "[192.0.2.256]", "[192.0.2.01]", "[192.0.2.1", "192.0.2.1]", "[192.0.2.1]."],
        *["[192.0.2.1/8]", "[ 192.0.2.1]", "[2001:db8::1]", "[IPv6:]", "[IPv6:192.0.2.1]", "[IPv6:1::2::3]"],
        *["[IPv6:fe80::1%eth0]", "[IPv6:fe80::1%]> SIZE=1]", "[IPv6:fe80::1%é]", "[IPv6: ::1]", "[tag:x]", "[[::1]]"],
        *["[IPv6:::1]x", "[192.0.2.1][192.0.2.2]", "[localhost]", "[３.1.1.1]"],
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_domain(text)


@pytest.mark.parametrize(
    "text",
    [
        *["demo", "Demo", "a.b.c", "a+tag", "!#$%&'*+-/=?^_`{|}~", "0", LOCAL_64, "demo-", "-demo"],
        *['"a b"', '"a@b"', '"a..b"', r'"a\"b"', r'"a\\b"', '"."', '" "', '"<>"', '"(comment)"', r'"\ "', '"a,b;c:d"'],
        '"' + "q" * 62 + '"',
    ],
)
def test_ascii_local_parts_of_the_standard_are_taken_as_they_stand(text: str) -> None:
    assert parse_local_part(text, smtputf8=False) == text


@pytest.mark.parametrize("text", ["jürgen", "дёми", "用户", '"jür gen"', "é" * 32, "a.ü", "😀"])
def test_a_local_part_beyond_ascii_needs_smtputf8(text: str) -> None:
    assert parse_local_part(text, smtputf8=True) == text
    with pytest.raises(AddressError, match="SMTPUTF8"):
        parse_local_part(text, smtputf8=False)


@pytest.mark.parametrize("smtputf8", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        *["", ".", ".a", "a.", "a..b", "a b", " a", "a ", "a@b", "a,b", "a;b", "a:b", "a<b", "a>b", "a[b]", "a\\b"],
        *["a(c)", "(c)a", 'a"b', '"a', 'a"', '"', '""', '"a"b', '"a"b"', '"a""b"', '"a\\"', '"\\', "a.'b'\"c\""],
        *[
            "a\r",
            "a\n",
            "a\tb",
            "a\x00",
            "a\x1b[2J",
            "a\x7f",
            '"a\rb"',
            '"a\x00b"',
            '"a\\\x00b"',
            '"a\tb"',
            '"a\r\n b"',
        ],
        *["a\x85b", '"a\x9bb"', "a\u2028b", '"a\u2029b"', "a\ud800b"],
        *["l" * 65, '"' + "q" * 63 + '"', "é" * 33, "é" * 64],
    ],
)
def test_what_is_no_local_part_is_refused(text: str, smtputf8: bool) -> None:
    with pytest.raises(AddressError):
        parse_local_part(text, smtputf8=smtputf8)


def test_the_address_is_split_at_the_last_at() -> None:
    assert parse_address('"a@b"@c.test') == Address('"a@b"', "c.test")
    assert parse_address("demo@Gatepost.Test") == Address("demo", "gatepost.test")
    assert str(parse_address("Demo@[192.0.2.1]")) == "Demo@[192.0.2.1]"


@pytest.mark.parametrize(
    "text",
    [
        *["", "demo", "@", "demo@", "@gatepost.test", "a@b@c.test", "a@b.test@c.test", '"a"@b"@c.test', '"a@b.test"'],
        *["a@b.test,c@d.test", "a@b.test c", "<a@b.test>", "a@<b.test>", "Demo <a@b.test>", "a @b.test", "a@ b.test"],
        *["a＠b.test", "a﹫b.test", "@a.test:b@c.test", "@a.test,@b.test:c@d.test", "a@b.test\r\nRCPT TO:<x@y.test>"],
        *["a@b.test\x00", "a@(c)b.test", "a@b.test(c)", "a%b.test"],
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


def test_a_domain_beyond_ascii_needs_smtputf8() -> None:
    assert parse_address("demo@bücher.test", smtputf8=True) == Address("demo", "xn--bcher-kva.test")
    with pytest.raises(AddressError, match="SMTPUTF8"):
        parse_address("demo@bücher.test", smtputf8=False)


def test_an_address_knows_whether_it_is_ascii_and_a_literal() -> None:
    assert parse_address("demo@bücher.test").is_ascii
    assert not parse_address("jürgen@bücher.test").is_ascii
    assert parse_address("demo@[192.0.2.1]").is_literal
    assert not parse_address("demo@gatepost.test").is_literal


def test_the_null_reverse_path_is_none_and_no_forward_path() -> None:
    assert parse_reverse_path("<>") is None
    with pytest.raises(AddressError, match="empty"):
        parse_forward_path("<>")


@pytest.mark.parametrize("text", ["<postmaster>", "<Postmaster>", "<POSTMASTER>"])
def test_postmaster_alone_is_a_forward_path_and_no_reverse_path(text: str) -> None:
    # RFC 5321 §4.5.1.
    assert parse_forward_path(text) == Address("postmaster", "")
    with pytest.raises(AddressError, match="no domain"):
        parse_reverse_path(text)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "between < and >"),
        ("demo@gatepost.test", "between < and >"),
        ("<demo@gatepost.test", "between < and >"),
        ("demo@gatepost.test>", "between < and >"),
        (" <demo@gatepost.test>", "between < and >"),
        ("<demo@gatepost.test> ", "between < and >"),
        ("<", "between < and >"),
        ("<demo>", "no domain"),
        ("< >", "no domain"),
        ("<<demo@gatepost.test>>", "not a"),
        ("<demo@gatepost.test><x@y.test>", "not a"),
        ("<@relay.test:demo@gatepost.test>", "source routes"),
        ("<@a.test,@b.test:demo@gatepost.test>", "source routes"),
        ("<demo@gatepost.test\r>", "control"),
        ("<demo@gatepost.test\x00>", "control"),
        ("<demo@gatepost.test\r\n.\r\n>", "control"),
        ("<de\x1bmo@gatepost.test>", "control"),
        ("<demo(comment)@gatepost.test>", "local part"),
        ("<(comment)demo@gatepost.test>", "local part"),
        ("<postmaster@>", "domain is empty"),
        ("<jürgen@gatepost.test>", "SMTPUTF8"),
        ("<demo@bücher.test>", "SMTPUTF8"),
    ],
)
def test_a_path_is_one_strict_mailbox_between_brackets(text: str, cause: str) -> None:
    for parse in (parse_forward_path, parse_reverse_path):
        with pytest.raises(AddressError, match=cause):
            parse(text)


def test_a_path_has_256_octets_at_most_with_its_brackets() -> None:
    # RFC 5321 §4.5.3.1.3.
    domain = ".".join([LABEL_63] * 2 + ["a" * 61])
    longest = f"<{LOCAL_64}@{domain}>"
    assert len(longest) == 256
    assert parse_forward_path(longest) == Address(LOCAL_64, domain)
    with pytest.raises(AddressError, match="256 octets"):
        parse_forward_path(f"<{LOCAL_64}@{domain}a>")
    with pytest.raises(AddressError, match="256 octets"):
        parse_forward_path(f"<ü@{'ü' * 127}>", smtputf8=True)


@pytest.mark.parametrize(
    ("local_part", "canonical"),
    [
        *[("demo", "demo"), ('"demo"', "demo"), (r'"d\emo"', "demo"), ('"a.b"', "a.b"), ('"jürgen"', "jürgen")],
        *[('"a b"', '"a b"'), (r'"a\ b"', '"a b"'), (r'"a\"b"', r'"a\"b"'), (r'"a\\b"', r'"a\\b"')],
        *[('"a@b"', '"a@b"'), ('"a..b"', '"a..b"'), ('"."', '"."')],
    ],
)
def test_quotes_and_backslashes_mean_nothing_where_they_are_not_needed(local_part: str, canonical: str) -> None:
    # RFC 5321 §4.1.2: the quoted and the plain form are equivalent.
    assert canonical_local_part(local_part) == canonical
    assert canonical_local_part(canonical) == canonical
    assert parse_local_part(canonical) == canonical


@pytest.mark.parametrize(
    ("local_part", "routed"),
    [
        ("demo", False),
        ("a+b=c", False),
        ("a%b.test", True),
        ("b.test!a", True),
        ('"a@b.test"', True),
        (r'"a\%b"', True),
        ('"a b"', False),
        # What mail programs that normalize (RFC 6532 §3.1) take for %, ! and @.
        ("a\uff05b.test", True),
        ("a\ufe6ab.test", True),
        ("b.test\uff01a", True),
        ("a\uff20b.test", True),
        ("\u00fcn\u00efc\u00f6de", False),
    ],
)
def test_a_local_part_that_routes_is_known(local_part: str, routed: bool) -> None:
    assert is_routed_local_part(local_part) is routed


HOSTILE = st.text(
    st.sampled_from('ab.@"\\<>()[]:,;%! -_1٣üＡ。\r\n\t\x00\x7f\x85\u200d\u202e\u2028\ud800') | st.characters(),
    max_size=40,
)


@settings(max_examples=300)
@given(HOSTILE)
@example("xn--.test")
@example("a@xn--a.xn--")
@example("[IPv6:%")
def test_any_text_is_parsed_once_and_for_all_or_refused(text: str) -> None:
    for smtputf8 in (False, True):
        try:
            address = parse_address(text, smtputf8=smtputf8)
        except AddressError:
            continue
        assert parse_address(str(address), smtputf8=smtputf8) == address
        assert parse_forward_path(f"<{address}>", smtputf8=smtputf8) == address
        assert address.domain.isascii()
        assert address.domain.isprintable()
        assert not set(address.domain) & set(' "<>()@')
        assert not set(str(address)) & set("\r\n\x00")


@settings(max_examples=150)
@given(HOSTILE)
def test_any_domain_is_parsed_once_and_for_all_or_refused(text: str) -> None:
    try:
        domain = parse_domain(text)
    except AddressError:
        return
    assert parse_domain(domain) == domain
