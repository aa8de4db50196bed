"""Keys of delivery that cannot be what they say: named with their path and the reason, and never taken for something."""

import copy
import tomllib
from collections.abc import Iterator, Mapping

import pytest
from pydantic import ValidationError

from shared.explain import explain
from shared.policy import Policy, parse_policy
from tests.unit.shared.policy.test_document import refused

DIGEST = "ab" * 32
# A document with every key of delivery once.
WHOLE = tomllib.loads(
    f"""
default_route = "mx"
[domains."a.test"]
route = [{{ to = "smtp://one.test", priority = 1, weight = 2 }}, {{ to = "mx", priority = 1 }}]
recipients = ["anna"]
group = "some"
aliases = {{ info = ["anna"], sales = "anna" }}
catch_all = "anna"
subaddress = "+"
batv = "sign"
greylisting = false
[domains."b.test"]
same_as = "a.test"
[groups.some]
size_bytes = 200000
[delivery]
connections_per_hop = 5
messages_per_connection = 5
recipients_per_transaction = 5
rate = "5/min"
connect_timeout_s = 5
idle_timeout_s = 5
tls = "verified"
tls_names = ["mx.test"]
tls_authority = "ca"
client_certificate = "ours"
dane = true
mta_sts = true
interface = "out"
auth = {{ login = "x", secret = "y", mechanisms = ["PLAIN"] }}
[destinations."x.test"]
tls = "fingerprint"
tls_fingerprints = ["{DIGEST}"]
[destinations."x.test".retry]
steps_s = [5]
[interfaces.out]
addresses = ["192.0.2.1", "2001:db8::1"]
hostname = "out.test"
senders = ["@a.test", "x@b.test"]
ports = {{ first = 2000, last = 2010 }}
warm_up = {{ begin = 2026-01-01, per_day = [5] }}
[retry]
steps_s = [5]
connection_steps_s = [5]
greylisted_steps_s = [5]
policy_steps_s = [5]
codes = {{ "4.2.2" = [5] }}
lifetime_s = 3600
delay_notice_after_s = 600
[forwarding]
srs = true
srs_domain = "a.test"
bounces_s = 100000
[outgoing]
complete = true
remove_bcc = true
hide_received = true
addresses = {{ "a@a.test" = "b@a.test" }}
masquerade = {{ "*.a.test" = "a.test" }}
[gateway]
names = ["mx.a.test"]
addresses = ["192.0.2.1"]
[tls_reports]
enabled = true
sender = "r@a.test"
organization = "A"
contact = "+49 1"
"""
)
# Tables in which another name is another thing.
_FREE = {
    *((name,) for name in ("domains", "groups", "destinations", "interfaces")),
    *(("domains", "a.test", "aliases"), ("retry", "codes"), ("outgoing", "addresses"), ("outgoing", "masquerade")),
}
NAMED = {"domains", "a.test", "some"}
ODD: list[object] = [-1, 10**12, 1.5, True, "", "nonsense!", "a\r\nb: c", [], [5], ["nonsense!"], [[]], {}, {"x": 5}]
KINDS = ("function-", "lax-or", "literal[", "[key]", "instance of", "Traceback")


def _paths(table: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _paths(value, (*path, key))


def _said(path: tuple[str, ...], value: object) -> str:
    """Return what is said of the document with another value of a key, nothing if it is taken."""
    document = copy.deepcopy(WHOLE)
    table = document
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    try:
        Policy.model_validate(document)
    except ValidationError as error:
        return explain(error)
    return ""


def test_the_whole_document_is_a_policy() -> None:
    assert _said(("default_route",), "mx") == ""


# Without a table that others name, it is missed there.
@pytest.mark.parametrize("path", [path for path in _paths(WHOLE) if path[-1] not in NAMED], ids=".".join)
def test_an_odd_value_of_any_key_is_taken_or_refused_by_its_name(path: tuple[str, ...]) -> None:
    refusals = [said for value in ODD if (said := _said(path, value))]
    assert refusals, "anything would do"
    for said in refusals:
        assert any(key in said for key in path[-2:]), said
        assert not any(kind in said for kind in KINDS), said


@pytest.mark.parametrize("path", [path for path in _paths(WHOLE) if path[:-1] not in _FREE], ids=".".join)
def test_a_key_that_is_written_a_little_wrong_is_unknown(path: tuple[str, ...]) -> None:
    assert f"{path[-1]}x: unknown key" in _said((*path[:-1], path[-1] + "x"), 5)


OURS = '[domains."a.test"]\nroute = "smtp://one.test"\nrecipients = "any"\n'
ROUTE = '[destinations."smtp://one.test"]\n'
BY_MX = '[destinations."x.test"]\n'
OUT = '[interfaces.out]\naddresses = ["192.0.2.1"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # One thing said twice, of which one would be lost.
        (BY_MX + '[destinations."X.test"]\n', "destinations: 'x.test' and 'X.test' are the same one"),
        (ROUTE + '[destinations."smtp://one.test:25"]\n', "'smtp://one.test' and 'smtp://one.test:25' are the same"),
        ('[outgoing.addresses]\n"a@x.test" = "b@x.test"\n"A@x.test" = "c@x.test"', "outgoing.addresses: 'a@x.test' and"),
        ('[outgoing.masquerade]\n"x.test" = "y.test"\n"X.test" = "z.test"', "outgoing.masquerade: 'x.test' and"),
        (OURS.replace('"smtp://one.test"', '["mx", "mx"]'), "domains.a.test: route: mx stands there twice"),
        (OURS.replace('"smtp://one.test"', '["smtp://h", "smtp://h:25"]'), "route: smtp://h:25 stands there twice"),
        (OUT.replace('1"]', '1", "192.0.2.1"]'), "interfaces.out: addresses: 192.0.2.1 stands there twice"),
        # Keys that would do nothing beside others.
        (OURS.replace('"smtp://one.test"', '[{ to = "mx", weight = 2 }, { to = "smtp://h", priority = 2 }]'), "weight of mx has no effect: no other has priority 1"),
        ('[forwarding]\nsrs = false\nsrs_domain = "a.test"\n' + OURS, "forwarding: srs_domain has no effect"),
        (BY_MX + 'tls_names = ["h.test"]', 'destinations.x.test.tls_names has no effect: tls is "opportunistic"'),
        (BY_MX + f'tls_fingerprints = ["{DIGEST}"]', "destinations.x.test.tls_fingerprints has no effect"),
        (BY_MX + 'tls = "fingerprint"', 'destinations.x.test: tls = "fingerprint" needs tls_fingerprints'),
        (BY_MX + 'tls = "off"\ntls_authority = "ca"', 'destinations.x.test.tls_authority has no effect: tls is "off"'),
        (BY_MX + 'tls = "off"\nclient_certificate = "c"', "destinations.x.test.client_certificate has no effect"),
        (BY_MX + 'tls = "off"\nmta_sts = true', "destinations.x.test.mta_sts has no effect"),
        (BY_MX + 'tls = "dane"\ndane = false', 'destinations.x.test.dane has no effect: tls is "dane"'),
        (BY_MX + 'tls = "off"\nauth = { login = "x", secret = "y" }', "destinations.x.test: auth needs TLS"),
        (BY_MX + 'auth = { login = "x", secret = "y" }', "destinations.x.test: auth with PLAIN would give the secret"),
        ('[delivery]\ntls = "off"\ndane = true', 'delivery.dane has no effect: tls is "off"'),
        ('[delivery]\ntls_names = ["h.test"]\n' + BY_MX + 'tls = "required"', "delivery.tls_names has no effect"),
        (ROUTE + "mta_sts = false", "destinations.smtp://one.test.mta_sts has no effect: only a domain has a policy"),
        ('[destinations."smtp://192.0.2.1"]\ndane = false', "dane has no effect: records stand at names alone"),
        ('[destinations."smtp://192.0.2.1"]\ntls = "dane"', "tls: dane needs a name"),
        ('[destinations."smtps://h.test"]\ntls = "off"', "tls has no effect: smtps:// is TLS by itself"),
        ('[destinations."lmtp:/run/x"]\ntls = "verified"', "tls: a socket knows off and opportunistic alone"),
        ('[destinations."lmtp:/run/x"]\ninterface = "out"\n' + OUT, "interface has no effect: a socket leaves no host"),
        # Tables for no mail.
        ('[destinations."a.test"]\n' + OURS, "destinations.a.test has no effect: its mail goes to smtp://one.test"),
        ('default_route = "smtp://h"\n' + BY_MX, "destinations.x.test has no effect: its mail goes to the default_route"),
        ('default_route = "smtp://h"\n[destinations."*.x.test"]\n', "destinations.*.x.test has no effect"),
        (OUT, "interfaces.out has no effect: no destination names it"),
        ("[groups.x]\n", "groups.x has no effect"),
        # Names that lead nowhere.
        ('[delivery]\ninterface = "out"', "delivery.interface: there is no interfaces.out"),
        (OURS + 'group = "x"', "domains.a.test.group: there is no groups.x"),
        (OURS + 'same_as = "b.test"', "domains.a.test.same_as: 'b.test' is not another domain of ours"),
        (OURS + 'same_as = "A.test"', "domains.a.test.same_as: 'A.test' is not another domain of ours"),
        ('[forwarding]\nsrs_domain = "b.test"', "forwarding.srs_domain: b.test is none of our domains"),
        # Values that look right.
        ('[retry.codes]\n"4.2.02" = [60]', "'4.2.02' is not an enhanced status code of class 4"),
        ('[retry.codes]\n"5.1.1" = [60]', "'5.1.1' is not an enhanced status code of class 4"),
        (OUT.replace("192.0.2.1", "0.0.0.0"), "interfaces.out.addresses.0: 0.0.0.0 is no address to connect from"),
        (OUT.replace("192.0.2.1", "::ffff:192.0.2.1"), "is no address to connect from"),
        ('[tls_reports]\nsender = "nobody"', "tls_reports.sender: 'nobody' has no domain"),
        ('[dmarc_reports]\ncontact = "a\\u0007b"', "dmarc_reports.contact: a line of text"),
        ('[destinations."maildir:x"]\n', "nothing is spoken to a Maildir"),
        (OURS + 'recipients2 = 1\ncatch_all = "anna"', "domains.a.test.recipients2: unknown key"),
        (OURS + 'catch_all = "anna"', "domains.a.test: catch_all has no effect"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_by_its_name(text: str, said: str) -> None:
    assert said in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        # What a table inherits is no word of its own.
        '[delivery]\ntls = "verified"\ntls_names = ["h.test"]\ntls_authority = "ca"\n' + BY_MX + 'tls = "off"',
        '[delivery]\ntls_authority = "ca"\n' + BY_MX + 'tls = "dane"',
        f'[delivery]\ntls_fingerprints = ["{DIGEST}"]\n' + BY_MX + 'tls = "fingerprint"',
        '[delivery]\ntls = "verified"\n[destinations."lmtp:/run/x"]\nrate = "1/s"',
        # An authority that MTA-STS may ask for.
        BY_MX + 'tls_authority = "ca"',
        BY_MX + 'tls = "fingerprint"\nmta_sts = false\n' + f'tls_fingerprints = ["{DIGEST}"]',
        # Mail that goes by MX all the same.
        OURS.replace('"smtp://one.test"', '["smtp://one.test", "mx"]') + '[destinations."a.test"]\n',
        'default_route = "smtp://h"\n' + OURS.replace("smtp://one.test", "mx") + '[destinations."*.test"]\n',
        # For mail that an order sends there.
        '[destinations."smtp://spare.test"]\ntls = "verified"',
        # Another spelling of the same domain.
        OURS.replace("a.test", "bücher.test") + '[domains."b.test"]\nsame_as = "xn--bcher-kva.test"',
    ],
)  # fmt: skip
def test_what_means_something_is_taken(text: str) -> None:
    parse_policy(text)


@pytest.mark.parametrize("key", ["same_as", "group"])
@pytest.mark.parametrize("value", ["5", "['x']", "{}", "true"])
def test_a_name_that_is_no_text_is_told_and_not_followed(key: str, value: str) -> None:
    assert f"domains.a.test.{key}: Input should be a valid string" in refused(OURS + f"{key} = {value}")


def test_checks_of_a_group_go_before_those_of_all_and_the_domain_before_its_group() -> None:
    policy = parse_policy(
        'default_route = "mx"\n[checks.spf]\nfail = "tag"\nsoftfail = "tag"\n'
        '[groups.g.checks.spf]\nfail = "refuse"\nsoftfail = "refuse"\n'
        '[domains."a.test"]\ngroup = "g"\nroute = "mx"\nrecipients = "any"\nchecks.spf.softfail = "accept"\n[domains."b.test"]\nroute = "mx"\nrecipients = "any"\n'
    )
    spf = {domain: rules.checks.spf for domain, rules in policy.domains.items()}
    assert (spf["a.test"].fail, spf["a.test"].softfail) == ("refuse", "accept")
    assert (spf["b.test"].fail, spf["b.test"].softfail) == ("tag", "tag")
