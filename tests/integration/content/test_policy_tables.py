"""Exemptions, bounds, the brake and the header do what the policy says, for whom it says, and for nobody else.

A key that is in no table of this file fails `test_every_key_is_proved`; those of the checks are in test_policy_keys.py.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from services.content.mark import marked_message
from shared.envelope import Direction
from shared.policy import parse_policy
from shared.policy.content import BrakeRules, InspectionRules
from shared.policy.delivery import VerdictRules
from shared.policy.exemption import Exemption
from shared.verdict import Action, CheckName, Verdict
from tests import packed
from tests.hostile import nested_zip
from tests.integration.content.policy_judge import (
    DOMAINS,
    HOSTNAME,
    OTHER,
    OURS,
    Judge,
    assert_decides,
    envelope_of,
    from_our_user,
    judged,
    open_judge,
)
from tests.integration.content.policy_scenes import CLEAN, SCENES, Scene, letter, scored, with_file

pytestmark = pytest.mark.asyncio(loop_scope="module")
INFECTED = SCENES["antivirus.infected"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def judge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judge]:
    """One helper process and one resolver for all."""
    async with open_judge(tmp_path_factory.mktemp("zones")) as opened:
        yield opened


def exemption(*lines: str, checks: str = '["antivirus"]') -> str:
    return "\n".join(
        ("[[exemptions]]", 'name = "lab"', 'reason = "they look into malware"', f"checks = {checks}", *lines)
    )


EVERYBODY = 'networks = ["0.0.0.0/0"]'


async def exempted(judge: Judge, scene: Scene, text: str, direction: Direction = Direction.INBOUND) -> Verdict:
    policy = parse_policy("\n".join([*scene.document, *(f"checks.{line}" for line in scene.also), DOMAINS, text]))
    return (await judge.verdicts(scene, envelope_of(scene, direction, OURS), policy))[OURS]


def assert_exempt(verdict: Verdict, check: CheckName) -> None:
    assert verdict.action is Action.ACCEPT, verdict.reasons
    reasons = [reason for reason in verdict.reasons if reason.check is check]
    # What was seen still stands there, and by which rule it would have been acted upon.
    assert [bool(one.evidence and one.rule) for one in reasons if one.exemption == "lab: they look into malware"] == [
        True
    ]


UNPROVED = replace(INFECTED, message=letter("joe@plain.test"), sender="joe@fail.plain.test")
OF_ANN = replace(INFECTED, login="Ann")
IN, OUT = Direction.INBOUND, Direction.OUTBOUND
# By key of [[exemptions]]: what it says, whom it fits, and whom it does not.
MATCHERS: dict[str, list[tuple[str, tuple[Scene, Direction], tuple[Scene, Direction]]]] = {
    "networks": [
        ('networks = ["192.0.2.1", "2001:db8::/32"]', (INFECTED, IN), (replace(INFECTED, address="192.0.2.2"), IN)),
    ],
    "reverse_names": [
        # What DNS confirms: the other client's name leads elsewhere.
        ('reverse_names = [".good.test"]', (INFECTED, IN), (replace(INFECTED, address="192.0.2.7"), IN)),
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
    check = key.partition(".")[0]
    scene = replace(SCENES[key], document=(*SCENES[key].document, f'checks.{key} = "refuse"'))
    assert_exempt(await exempted(judge, scene, exemption(EVERYBODY, checks=f'["{check}"]')), CheckName(check))
    others = str([one.value for one in CheckName if one != check]).replace("'", '"')
    verdict = await exempted(judge, scene, exemption(EVERYBODY, checks=others))
    assert_decides(verdict, f"checks.{key}", Action.REFUSE)


# By key of [inspection]: a file, a value with which it is not opened to the end, and one with which it is.
BOUNDS: dict[str, tuple[bytes, int, int]] = {
    "archive_depth": (nested_zip(2), 2, 3),
    "archive_files": (packed.zipped({f"{number}.txt": b"hello" for number in range(4)}), 3, 4),
    # Zeros pack to about a thousandth.
    "archive_ratio": (packed.zipped({"a.txt": bytes(2_000_000)}), 900, 1100),
    "unpacked_bytes": (packed.zipped({"a.txt": bytes(1_200_000)}), 1_199_999, 1_200_000),
}


@pytest.mark.parametrize("key", list(BOUNDS))
async def test_a_bound_of_inspection_holds_and_is_no_narrower_than_it_says(judge: Judge, key: str) -> None:
    content, narrower, enough = BOUNDS[key]
    scene = Scene(with_file("a.zip", content))
    lines = ["inspection.archive_ratio = 10_000"] if key != "archive_ratio" else []
    beyond = await judged(judge, scene, [*lines, f"inspection.{key} = {narrower}"])
    assert_decides(beyond[OURS], "checks.attachments.exceeded", Action.QUARANTINE)
    within = await judged(judge, scene, [*lines, f"inspection.{key} = {enough}"])
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


# Keys that tests of this file prove by name, and those of [verdict] that are edge's.
EXEMPTION_KEYS = {*MATCHERS, "name", "reason", "checks", "domains"}
BRAKE_KEYS = {"enabled", "spam", "braked", "hold_s"}
EDGES = {"deadline_s"}


async def test_every_key_is_proved() -> None:
    assert set(Exemption.model_fields) == EXEMPTION_KEYS
    assert set(InspectionRules.model_fields) == set(BOUNDS)
    assert set(BrakeRules.model_fields) == BRAKE_KEYS
    assert set(VerdictRules.model_fields) - EDGES == {"header"}
