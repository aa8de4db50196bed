"""Every key of the policy that content obeys does what it says, wherever it stands, and nothing without its cause.

A key that is in no table of this file fails `test_every_key_is_proved`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from services.console.story.advice import advice
from services.console.story.verdict import verdict_lines
from shared.policy import Checks, PolicyError, parse_policy
from shared.policy.checks import INBOUND_ONLY, STRIP, AttachmentRules
from shared.verdict import PRECEDENCE, Action, CheckName, reply_to, verdict_facts
from tests.integration.content.policy_judge import (
    OTHER,
    OURS,
    Judge,
    assert_decides,
    by_rule,
    judged,
    open_judge,
)
from tests.integration.content.policy_scenes import CLEAN, SCENES, Scene, letter, scored, with_file
from tests.unit.services.content.auth.signing import MESSAGE, sealed

INFECTED = SCENES["antivirus.infected"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

# Where a key may stand, and whose mail it is about.
INBOUND_SCOPES = ("checks", f'domains."{OURS}".checks')
OUTBOUND_SCOPES = ("outbound", f'domains."{OURS}".outbound')
CODES = {
    **dict.fromkeys(("antivirus", "antispam", "attachments", "dmarc", "brake"), "550 5.7.1"),
    "spf": "550 5.7.23",
    "dkim": "550 5.7.20",
    "iprev": "550 5.7.25",
    "arc": "550 5.7.29",
    "structure": "554 5.6.0",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def judge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judge]:
    """One helper process and one resolver for all."""
    async with open_judge(tmp_path_factory.mktemp("zones")) as opened:
        yield opened


def scopes_of(key: str) -> tuple[str, ...]:
    return INBOUND_SCOPES if key.partition(".")[0] in INBOUND_ONLY else INBOUND_SCOPES + OUTBOUND_SCOPES


def is_outbound(scope: str) -> bool:
    return scope in OUTBOUND_SCOPES


def policy_lines(scene: Scene, scope: str, key: str, value: str, elsewhere: str | None = None) -> list[str]:
    """Return a policy that gives a key a value in one scope, and another one everywhere else."""
    lines = [f"{scope}.{key} = {value}", *scene.document]
    if scope == "checks":
        return [*lines, *(f"checks.{line}" for line in scene.also)]
    lines += [f"{scope}.{line}" for line in scene.also] + [f"checks.{line}" for line in scene.also]
    return lines if elsewhere is None else [*lines, f"checks.{key} = {elsewhere}"]


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


@pytest.mark.parametrize("scope", ("outbound", f'domains."{OURS}".checks', f'domains."{OURS}".outbound'))
async def test_a_rule_is_named_where_it_stands_though_its_neighbour_is_overridden(judge: Judge, scope: str) -> None:
    lines = [f'{scope}.antivirus.encrypted = "defer"', 'checks.antivirus.infected = "quarantine"']
    verdict = (await judged(judge, INFECTED, lines, outbound=is_outbound(scope)))[OURS]
    assert_decides(verdict, "checks.antivirus.infected", Action.QUARANTINE)


async def test_a_domain_that_says_what_the_outermost_table_says_is_named_where_another_is_between(judge: Judge) -> None:
    own = f'domains."{OURS}".outbound.antivirus.infected'
    lines = ['checks.antivirus.infected = "tag"', 'outbound.antivirus.infected = "refuse"', f'{own} = "tag"']
    assert_decides((await judged(judge, INFECTED, lines, outbound=True))[OURS], own, Action.TAG)


async def test_what_dns_cannot_say_holds_up_only_those_who_act_upon_it(judge: Judge) -> None:
    # Nobody serves elsewhere.example, whence the client's name and the sender's record would come.
    scene = Scene(letter("joe@plain.test"), "joe@elsewhere.example", "198.51.100.1")
    for key in ("spf.fail", "iprev.fail"):
        verdicts = await judged(judge, scene, [f'domains."{OURS}".checks.{key} = "tag"'])
        assert (verdicts[OURS].action, verdicts[OTHER].action) == (Action.DEFER, Action.ACCEPT)
        assert verdicts[OURS].reasons[0].result == "temperror"


async def test_a_sealer_whose_key_dns_cannot_say_puts_off_what_it_may_vouch_for(judge: Judge) -> None:
    scene = Scene(sealed("elsewhere.example", message=MESSAGE))
    [first, *_] = (await judged(judge, scene, ['checks.arc.trusted_sealers = ["elsewhere.example"]']))[OURS].reasons
    assert (first.check, first.action, first.rule) == (CheckName.DMARC, Action.DEFER, "")
    assert first.change
    assert_decides((await judged(judge, scene, []))[OURS], "checks.dmarc.reject", Action.REFUSE)


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
    for action, code, said in (("refuse", "5", "Message refused: "), ("defer", "4", "Message deferred: ")):
        verdict = (await judged(judge, SCENES[key], policy_lines(SCENES[key], "checks", key, f'"{action}"')))[OURS]
        reply = reply_to(verdict, "abc")
        refused = "550 5.7.24" if key == "spf.permerror" else CODES[verdict.reasons[0].check.value]
        assert reply.enhanced == code + refused.split()[1][1:]
        assert reply.code == (451 if action == "defer" else int(refused.split()[0]))
        assert reply.text.startswith(said)
        assert reply.text.endswith(" [abc]")
        assert verdict.reasons[0].evidence not in reply.text


@pytest.mark.parametrize("key", list(SCENES))
async def test_the_story_names_the_rule_and_what_the_sender_can_do(judge: Judge, key: str) -> None:
    verdict = (await judged(judge, SCENES[key], policy_lines(SCENES[key], "checks", key, '"quarantine"')))[OURS]
    first, *others = verdict_lines(verdict_facts(verdict))
    table, _, name = key.rpartition(".")
    assert first.startswith(f"decided by [checks.{table}] {name}")
    assert any(line.startswith("  what would have changed it: ") for line in others)
    # By which a release lets it past.
    assert verdict.reasons[0].key == key
    assert advice(verdict.reasons[0].check.value, verdict.reasons[0].result)


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
    # A list changes what another key acts upon, which stands where it stood.
    assert_decides(verdicts[OURS], f"{scope if rule == key else 'checks'}.{rule}", action)
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
ENABLED |= {"arc": "arc.fail", "structure": "structure.ambiguous"}


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
        # A policy that would have it otherwise is refused, and not obeyed by nobody.
        for scope in OUTBOUND_SCOPES:
            with pytest.raises(PolicyError, match=f"outbound.{check} has no effect"):
                parse_policy(f'{scope}.{key} = "refuse"')


# Keys that tests of this file prove by name.
BY_NAME = {
    *(f"{check}.enabled" for check in Checks.model_fields),
    "antispam.subject_tag",
}


async def test_every_key_is_proved() -> None:
    keys = {
        f"{check}.{key}" for check, table in Checks.model_fields.items() for key in type(table.default).model_fields
    }
    assert keys == {*SCENES, *SETTINGS, *BY_NAME}
    # Each key that holds an action has a scene, in which all actions are tried.
    for check, table in Checks.model_fields.items():
        for key, value in table.default:
            assert not isinstance(value, Action) or f"{check}.{key}" in SCENES
    stripping = {key for key, value in AttachmentRules() if isinstance(value, Action)}
    assert {f"attachments.{key}" for key in stripping} == {key for key in SCENES if key.startswith("attachments.")}
    assert {check.value for check in CheckName} == {*Checks.model_fields, "brake"}
