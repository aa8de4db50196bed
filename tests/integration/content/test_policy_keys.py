"""Every key of the policy that content obeys does what it says, wherever it stands, and nothing without its cause.

A key that is in no table of this file fails `test_every_key_is_proved`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from services.content.inspector import Inspector
from services.content.mark import marked_message
from services.content.settings import IsolationSettings
from shared.envelope import Direction, Proof
from shared.policy import Checks, parse_policy
from shared.policy.checks import STRIP, AttachmentRules
from shared.policy.content import BrakeRules, InspectionRules
from shared.policy.delivery import VerdictRules
from shared.policy.exemption import Exemption
from shared.verdict import PRECEDENCE, Action, CheckName, Reason, Verdict, reply_to
from tests import packed
from tests.hostile import nested_zip
from tests.integration.content.policy_scenes import (
    CLEAN,
    HOSTNAME,
    SCENES,
    Judge,
    Scene,
    envelope_of,
    letter,
    open_zones,
    scored,
    with_file,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS, OTHER = "ours.test", "other.test"
DOMAINS = "\n".join(f'domains."{name}".route = "mx"\ndomains."{name}".recipients = "any"' for name in (OURS, OTHER))
# Where a key may stand, and whose mail it is about.
INBOUND_SCOPES = ("checks", f'domains."{OURS}".checks')
OUTBOUND_SCOPES = ("outbound", f'domains."{OURS}".outbound')
# Mail of our own users comes from no server that these could know.
INBOUND_ONLY = frozenset({"spf", "dkim", "dmarc", "arc", "iprev"})
CODES = {
    **dict.fromkeys(("antivirus", "antispam", "attachments", "dmarc", "brake"), "550 5.7.1"),
    **{"spf": "550 5.7.23", "dkim": "550 5.7.20", "iprev": "550 5.7.25", "arc": "550 5.7.29", "structure": "554 5.6.0"},
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def judge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judge]:
    """One helper process and one resolver for all."""
    inspector = Inspector(IsolationSettings(cpu_s=20, memory_mb=256))
    await inspector.start()
    resolver = open_zones(tmp_path_factory.mktemp("zones"))
    yield Judge(inspector, resolver)
    await resolver.close()
    await inspector.close()


def scopes_of(key: str) -> tuple[str, ...]:
    return INBOUND_SCOPES if key.partition(".")[0] in INBOUND_ONLY else INBOUND_SCOPES + OUTBOUND_SCOPES


def is_outbound(scope: str) -> bool:
    return scope in OUTBOUND_SCOPES


def from_our_user(scene: Scene, domain: str = OURS) -> Scene:
    return replace(scene, sender=f"ann@{domain}", login="ann")


async def judged(judge: Judge, scene: Scene, lines: list[str], *, outbound: bool = False) -> dict[str, Verdict]:
    """Return the verdicts on a scene, for the domain of the scopes and for another one of ours."""
    policy = parse_policy("\n".join([*lines, DOMAINS]))
    if not outbound:
        envelope = envelope_of(scene, Direction.INBOUND, OURS, OTHER)
        return await judge.verdicts(scene, envelope, policy)
    verdicts = {}
    for domain in (OURS, OTHER):
        sent = from_our_user(scene, domain)
        verdicts[domain] = (await judge.verdicts(sent, envelope_of(sent, Direction.OUTBOUND, "far.test"), policy))[
            "far.test"
        ]
    return verdicts


def policy_lines(scene: Scene, scope: str, key: str, value: str, elsewhere: str | None = None) -> list[str]:
    """Return a policy that gives a key a value in one scope, and another one everywhere else."""
    lines = [f"{scope}.{key} = {value}", *scene.document]
    if scope == "checks":
        return [*lines, *(f"checks.{line}" for line in scene.also)]
    lines += [f"{scope}.{line}" for line in scene.also] + [f"checks.{line}" for line in scene.also]
    return lines if elsewhere is None else [*lines, f"checks.{key} = {elsewhere}"]


def by_rule(verdict: Verdict, rule: str) -> Reason | None:
    return next((reason for reason in verdict.reasons if reason.rule == rule), None)


def assert_decides(verdict: Verdict, rule: str, action: Action) -> None:
    assert verdict.action is action, verdict.reasons
    reason = by_rule(verdict, rule)
    assert reason is not None, [one.rule for one in verdict.reasons]
    assert reason.action is action
    assert reason.evidence.endswith(".")
    assert reason.evidence[0].isupper() or reason.check is CheckName.DKIM or reason.check is CheckName.SPF
    assert reason.input
    if action is not Action.ACCEPT:
        assert verdict.reasons[0] is reason
        assert reason.change
        assert not reason.change.endswith(".")
    assert verdict.policy_version == 7


def other_than(action: Action) -> Action:
    return PRECEDENCE[PRECEDENCE.index(action) - 1]


CASES = [(scope, key) for key in SCENES for scope in scopes_of(key)]


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize(("scope", "key"), CASES)
async def test_a_key_chooses_the_action_where_it_stands_and_nowhere_else(
    judge: Judge, scope: str, key: str, action: Action
) -> None:
    scene, elsewhere = SCENES[key], other_than(action)
    lines = policy_lines(scene, scope, key, f'"{action}"', f'"{elsewhere}"')
    verdicts = await judged(judge, scene, lines, outbound=is_outbound(scope))
    assert_decides(verdicts[OURS], f"{scope}.{key}", action)
    if scope in ("checks", "outbound"):
        assert_decides(verdicts[OTHER], f"{scope}.{key}", action)
    else:
        assert_decides(verdicts[OTHER], f"checks.{key}", elsewhere)
    if scope == "outbound":
        # The same mail from outside.
        assert_decides((await judged(judge, scene, lines))[OURS], f"checks.{key}", elsewhere)


@pytest.mark.parametrize("key", list(SCENES))
async def test_a_key_decides_nothing_without_its_cause(judge: Judge, key: str) -> None:
    # A clean message has no DKIM signature, which is what one key is about.
    clean = CLEAN if key != "dkim.none" else SCENES["dkim.fail"]
    lines = policy_lines(replace(SCENES[key], document=()), "checks", key, '"refuse"')
    verdict = (await judged(judge, clean, lines))[OURS]
    assert verdict.action is Action.ACCEPT, verdict.reasons
    assert by_rule(verdict, f"checks.{key}") is None


@pytest.mark.parametrize("key", list(SCENES))
async def test_the_defaults_of_each_table_hold_in_all_scopes(judge: Judge, key: str) -> None:
    table, name = key.split(".")
    default = getattr(getattr(Checks(), table), name)
    scene = SCENES[key]
    lines = [*(f"checks.{line}" for line in scene.also), *scene.document]
    for outbound in (False, True) if table not in INBOUND_ONLY else (False,):
        for verdict in (await judged(judge, scene, lines, outbound=outbound)).values():
            assert_decides(verdict, f"checks.{key}", default)


@pytest.mark.parametrize("key", list(SCENES))
async def test_a_refusal_is_told_with_the_code_of_its_check_and_no_more(judge: Judge, key: str) -> None:
    verdict = (await judged(judge, SCENES[key], policy_lines(SCENES[key], "checks", key, '"refuse"')))[OURS]
    reply = reply_to(verdict, "abc")
    check = verdict.reasons[0].check.value
    code = "550 5.7.24" if key == "spf.permerror" else CODES[check]
    assert f"{reply.code} {reply.enhanced}" == code
    assert reply.text.startswith("Message refused: ")
    assert reply.text.endswith(" [abc]")
    assert verdict.reasons[0].evidence not in reply.text


@pytest.mark.parametrize("key", [key for key in SCENES if key.startswith("attachments.")])
@pytest.mark.parametrize("scope", INBOUND_SCOPES + OUTBOUND_SCOPES)
async def test_strip_takes_the_part_out(judge: Judge, scope: str, key: str) -> None:
    lines = policy_lines(SCENES[key], scope, key, f'"{STRIP}"', '"accept"')
    verdicts = await judged(judge, SCENES[key], lines, outbound=is_outbound(scope))
    assert_decides(verdicts[OURS], f"{scope}.{key}", Action.TAG)
    assert verdicts[OURS].strip == ("2",)
    assert bool(verdicts[OTHER].strip) is (scope in ("checks", "outbound"))


# Keys that choose no action: a value with which the scene is acted upon by a rule, and one with which it is not.
Setting = tuple[Scene, str, str, str, Action]
SETTINGS: dict[str, Setting] = {
    "antispam.tag_at": (scored(8.1), "8.1", "8.11", "antispam.tag_at", Action.TAG),
    "antispam.quarantine_at": (scored(12.0), "12", '"never"', "antispam.quarantine_at", Action.QUARANTINE),
    "antispam.refuse_at": (scored(13.0), "13.0", "13.01", "antispam.refuse_at", Action.REFUSE),
    "attachments.blocked_names": (
        Scene(with_file("Notes.TXT", b"hello\r\n")),
        '["no*.txt"]',
        '["*.exe", "*.txt.*"]',
        "attachments.blocked",
        Action.REFUSE,
    ),
    "attachments.blocked_types": (
        Scene(with_file("a.pdf", b"%PDF-1.7\n%%EOF\n")),
        '["pdf"]',
        '["executable"]',
        "attachments.blocked",
        Action.REFUSE,
    ),
    "arc.trusted_sealers": (SCENES["arc.trusted"], '["one.test"]', '["two.test"]', "arc.trusted", Action.ACCEPT),
}


@pytest.mark.parametrize(("scope", "key"), [(scope, key) for key in SETTINGS for scope in scopes_of(key)])
async def test_a_setting_of_a_check_acts_where_it_stands(judge: Judge, scope: str, key: str) -> None:
    scene, acting, idle, rule, action = SETTINGS[key]
    scene = replace(scene, also=())
    lines = policy_lines(scene, scope, key, acting, idle)
    verdicts = await judged(judge, scene, lines, outbound=is_outbound(scope))
    assert_decides(verdicts[OURS], f"{scope}.{rule}", action)
    if scope not in ("checks", "outbound"):
        assert all(not (one.rule.endswith(rule)) for one in verdicts[OTHER].reasons)
    idle_verdicts = await judged(judge, scene, policy_lines(scene, scope, key, idle), outbound=is_outbound(scope))
    assert all(not (one.rule.endswith(rule)) for one in idle_verdicts[OURS].reasons)


@pytest.mark.parametrize("scope", INBOUND_SCOPES + OUTBOUND_SCOPES)
@pytest.mark.parametrize(("score", "tag"), [(8.0, "[SPAM?]"), (1.0, ""), (20.0, "")])
async def test_the_subject_tag_is_for_tagged_mail(judge: Judge, scope: str, score: float, tag: str) -> None:
    lines = policy_lines(CLEAN, scope, "antispam.subject_tag", '"[SPAM?]"', '""')
    verdicts = await judged(judge, scored(score), lines, outbound=is_outbound(scope))
    assert verdicts[OURS].subject_tag == tag
    if scope not in ("checks", "outbound"):
        assert verdicts[OTHER].subject_tag == ""


ENABLED = {
    name: next(key for key in SCENES if key.startswith(f"{name}.")) for name in Checks.model_fields if name != "arc"
}
ENABLED |= {"arc": "arc.fail", "antispam": "antispam.rejected", "dmarc": "dmarc.reject"}


@pytest.mark.parametrize(
    ("scope", "check"), [(scope, check) for check in Checks.model_fields for scope in scopes_of(check)]
)
async def test_a_check_that_is_not_enabled_has_no_say_there_and_its_say_elsewhere(
    judge: Judge, scope: str, check: str
) -> None:
    scene, key = SCENES[ENABLED[check]], ENABLED[check]
    lines = [*policy_lines(scene, scope, f"{check}.enabled", "false"), f'checks.{key} = "quarantine"']
    verdicts = await judged(judge, scene, lines, outbound=is_outbound(scope))
    assert all(reason.check != check for reason in verdicts[OURS].reasons)
    assert verdicts[OURS].action is Action.ACCEPT
    if scope not in ("checks", "outbound"):
        assert_decides(verdicts[OTHER], f"checks.{key}", Action.QUARANTINE)
    if scope == "outbound":
        assert_decides((await judged(judge, scene, lines))[OURS], f"checks.{key}", Action.QUARANTINE)


async def test_sealers_vouch_for_nobody_where_arc_is_not_enabled(judge: Judge) -> None:
    scene = SCENES["arc.trusted"]
    lines = policy_lines(scene, "checks", "arc.enabled", "false")
    assert_decides((await judged(judge, scene, lines))[OURS], "checks.dmarc.reject", Action.REFUSE)


async def test_who_our_own_users_are_is_not_asked_of_dns(judge: Judge) -> None:
    for check in INBOUND_ONLY:
        key = ENABLED[check]
        verdict = (await judged(judge, SCENES[key], [f'checks.{key} = "refuse"'], outbound=True))[OURS]
        assert verdict.action is Action.ACCEPT
        assert all(reason.check not in INBOUND_ONLY for reason in verdict.reasons)


def exemption(*lines: str, checks: str = '["antivirus"]') -> str:
    return "\n".join(
        ("[[exemptions]]", 'name = "lab"', 'reason = "they look into malware"', f"checks = {checks}", *lines)
    )


EVERYBODY = 'networks = ["0.0.0.0/0"]'
INFECTED = SCENES["antivirus.infected"]


async def exempted(judge: Judge, scene: Scene, text: str, direction: Direction = Direction.INBOUND) -> Verdict:
    policy = parse_policy("\n".join([*scene.document, *(f"checks.{line}" for line in scene.also), DOMAINS, text]))
    return (await judge.verdicts(scene, envelope_of(scene, direction, OURS), policy))[OURS]


def assert_exempt(verdict: Verdict, check: CheckName) -> None:
    assert verdict.action is Action.ACCEPT, verdict.reasons
    reasons = [reason for reason in verdict.reasons if reason.check is check]
    assert [reason.exemption for reason in reasons] == ["lab: they look into malware"]
    # What was seen still stands there, and by which rule it would have been acted upon.
    assert reasons[0].evidence
    assert reasons[0].rule


UNPROVED = replace(INFECTED, sender="joe@fail.plain.test")
OF_ANN = replace(INFECTED, login="Ann")
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
# By key of [[exemptions]]: what it says, whom it fits, and whom it does not.
MATCHERS: dict[str, list[tuple[str, tuple[Scene, Direction], tuple[Scene, Direction]]]] = {
    "networks": [
        ('networks = ["192.0.2.1", "2001:db8::/32"]', (INFECTED, IN), (replace(INFECTED, address="192.0.2.2"), IN)),
    ],
    "reverse_names": [
        # What DNS confirms: the other client's name leads elsewhere.
        ('reverse_names = ["*.good.test"]', (INFECTED, IN), (replace(INFECTED, address="192.0.2.7"), IN)),
    ],
    "senders": [
        ('senders = ["joe@good.test"]', (INFECTED, IN), (replace(INFECTED, sender="amy@good.test"), IN)),
        ('senders = ["*@fail.plain.test", "*@good.test"]', (INFECTED, IN), (UNPROVED, IN)),
    ],
    "logins": [('logins = ["ann"]', (OF_ANN, OUT), (replace(OF_ANN, login="bob"), OUT))],
    "direction": [
        (f'direction = "inbound"\n{EVERYBODY}', (INFECTED, IN), (OF_ANN, OUT)),
        (f'direction = "outbound"\n{EVERYBODY}', (OF_ANN, OUT), (INFECTED, IN)),
    ],
}


@pytest.mark.parametrize(("key", "number"), [(key, number) for key in MATCHERS for number in range(len(MATCHERS[key]))])
async def test_an_exemption_is_for_those_whom_it_names(judge: Judge, key: str, number: int) -> None:
    lines, fitting, other = MATCHERS[key][number]
    assert_exempt(await exempted(judge, fitting[0], exemption(lines), fitting[1]), CheckName.ANTIVIRUS)
    verdict = await exempted(judge, other[0], exemption(lines), other[1])
    assert_decides(verdict, "checks.antivirus.infected", Action.REFUSE)


async def test_an_exemption_for_recipients_leaves_others_as_they_are(judge: Judge) -> None:
    ours = exemption(f'domains = ["{OURS}"]')
    envelope = envelope_of(INFECTED, Direction.INBOUND, OURS, OTHER)
    verdicts = await judge.verdicts(INFECTED, envelope, parse_policy(f"{DOMAINS}\n{ours}"))
    assert_exempt(verdicts[OURS], CheckName.ANTIVIRUS)
    assert_decides(verdicts[OTHER], "checks.antivirus.infected", Action.REFUSE)


async def test_all_matchers_of_an_exemption_must_fit(judge: Judge) -> None:
    both = 'networks = ["192.0.2.1"]\nsenders = ["amy@good.test"]'
    verdict = await exempted(judge, INFECTED, exemption(both))
    assert_decides(verdict, "checks.antivirus.infected", Action.REFUSE)


@pytest.mark.parametrize("key", [key for key in SCENES if key != "arc.trusted"])
async def test_an_exemption_is_from_the_checks_that_it_names_and_from_no_other(judge: Judge, key: str) -> None:
    check, _, name = key.partition(".")
    scene = replace(SCENES[key], document=(*SCENES[key].document, f'checks.{key} = "refuse"'))
    assert_exempt(await exempted(judge, scene, exemption(EVERYBODY, checks=f'["{check}"]')), CheckName(check))
    others = str([one.value for one in CheckName if one != check]).replace("'", '"')
    verdict = await exempted(judge, scene, exemption(EVERYBODY, checks=others))
    assert_decides(verdict, f"checks.{key}", Action.REFUSE)


# By key of [inspection]: a file, and the smallest value with which it is opened to the end.
BOUNDS: dict[str, tuple[bytes, int]] = {
    "archive_depth": (nested_zip(2), 3),
    "archive_files": (packed.zipped({f"{number}.txt": b"hello" for number in range(4)}), 4),
    "archive_ratio": (zeros := packed.zipped({"a.txt": bytes(2_000_000)}), 2_000_000 // len(zeros) + 20),
    "unpacked_bytes": (packed.zipped({"a.txt": bytes(1_200_000)}), 1_200_000),
}


@pytest.mark.parametrize("key", list(BOUNDS))
async def test_a_bound_of_inspection_holds_and_is_no_narrower_than_it_says(judge: Judge, key: str) -> None:
    content, enough = BOUNDS[key]
    scene = Scene(
        with_file("a.zip", content), document=("inspection.archive_ratio = 10_000",) * (key != "archive_ratio")
    )
    narrower = enough - 1 if key != "archive_ratio" else enough // 2
    beyond = await judged(judge, scene, [*scene.document, f"inspection.{key} = {narrower}"])
    assert_decides(beyond[OURS], "checks.attachments.exceeded", Action.QUARANTINE)
    within = await judged(judge, scene, [*scene.document, f"inspection.{key} = {enough}"])
    assert within[OURS].action is Action.ACCEPT, within[OURS].reasons


BRAKED = from_our_user(SCENES["antivirus.infected"])


async def brake(judge: Judge, lines: list[str], login: str, spam: int) -> Verdict:
    """Return the verdict on an account's clean mail after so much malware of it."""
    policy = parse_policy("\n".join(lines))
    sent, clean = replace(BRAKED, login=login), replace(from_our_user(CLEAN), login=login)
    for _ in range(spam):
        envelope = envelope_of(sent, Direction.OUTBOUND, "far.test")
        verdicts = await judge.verdicts(sent, envelope, policy)
        await judge.brake.count(envelope, verdicts.values(), policy.brake)
    return (await judge.verdicts(clean, envelope_of(clean, Direction.OUTBOUND, "far.test"), policy))["far.test"]


@pytest.mark.parametrize("action", list(Action))
async def test_the_brake_does_what_braked_says(judge: Judge, action: Action) -> None:
    lines = ['brake.spam = "2/h"', f'brake.braked = "{action}"']
    assert_decides(await brake(judge, lines, f"braked-{action}", 3), "brake.braked", action)
    assert (await brake(judge, lines, f"below-{action}", 2)).action is Action.ACCEPT


async def test_the_brake_is_at_its_rate_and_off_where_it_is_not_enabled(judge: Judge) -> None:
    assert_decides(await brake(judge, ['brake.spam = "1/h"'], "twice", 2), "brake.braked", Action.DEFER)
    assert (await brake(judge, ['brake.spam = "2/h"'], "twice-of-two", 2)).action is Action.ACCEPT
    assert (await brake(judge, ['brake.spam = "unlimited"'], "without-rate", 3)).action is Action.ACCEPT
    off = ['brake.spam = "1/h"', "brake.enabled = false"]
    assert (await brake(judge, off, "off", 3)).action is Action.ACCEPT
    # What is held already is let go as soon as the brake is switched off.
    assert (await brake(judge, off, "twice", 0)).action is Action.ACCEPT


async def test_the_brake_holds_for_its_time(judge: Judge) -> None:
    verdict = await brake(judge, ['brake.spam = "1/h"', "brake.hold_s = 7200"], "long", 2)
    assert "120 minutes" in verdict.reasons[0].change
    [entry] = await judge.state.find("brake:long", 1)
    assert 7100 < entry.left_s <= 7200


async def test_an_account_may_be_exempt_from_the_brake(judge: Judge) -> None:
    lines = ['brake.spam = "1/h"', exemption('logins = ["newsletter"]', checks='["brake"]')]
    verdict = await brake(judge, lines, "newsletter", 2)
    assert_exempt(verdict, CheckName.BRAKE)


@pytest.mark.parametrize("shown", [True, False])
async def test_the_verdict_is_shown_in_the_header_where_it_is_asked_for(judge: Judge, shown: bool) -> None:
    policy = parse_policy(f"verdict.header = {str(shown).lower()}")
    scene = scored(8.0)
    envelope = envelope_of(scene, Direction.INBOUND, OURS)
    verdict = (await judge.verdicts(scene, envelope, policy))[OURS]
    marked = marked_message(replace(envelope, verdict=verdict), scene.message, HOSTNAME, policy)
    assert (b"X-Gatepost-Verdict: tag; id=01m85rrw9tejgajt89hfcgzyx2; policy=7;" in marked) is shown
    assert (b"[checks.antispam.tag_at]" in marked) is shown
    assert b"X-Gatepost-Tag: suspicious (antispam)" in marked


# Keys that other tests of this file prove by name, and those of [verdict] that are edge's.
BY_NAME = {
    *(f"{check}.enabled" for check in Checks.model_fields),
    "antispam.subject_tag",
}
EXEMPTION_KEYS = {*MATCHERS, "name", "reason", "checks", "domains"}
BRAKE_KEYS = {"enabled", "spam", "braked", "hold_s"}
EDGES = {"deadline_s"}


async def test_every_key_is_proved() -> None:
    keys = {
        f"{check}.{key}" for check, table in Checks.model_fields.items() for key in type(table.default).model_fields
    }
    assert keys == {*SCENES, *SETTINGS, *BY_NAME}
    assert set(Exemption.model_fields) == EXEMPTION_KEYS
    assert set(InspectionRules.model_fields) == set(BOUNDS)
    assert set(BrakeRules.model_fields) == BRAKE_KEYS
    assert set(VerdictRules.model_fields) - EDGES == {"header"}
    # Each key that holds an action has a scene, in which all actions are tried.
    for check, table in Checks.model_fields.items():
        for key, value in table.default:
            assert not isinstance(value, Action) or f"{check}.{key}" in SCENES
    stripping = {key for key, value in AttachmentRules() if isinstance(value, Action)}
    assert {f"attachments.{key}" for key in stripping} == {key for key in SCENES if key.startswith("attachments.")}
    assert {check.value for check in CheckName} == {*Checks.model_fields, "brake"}
