"""The state machine of DESIGN §4, as a table of inputs."""

from dataclasses import replace

import pytest

from services.edge import waiting
from services.edge.waiting import REMEMBER_S, Step, VerdictMemory
from shared.reply import Reply
from shared.verdict import Action
from shared.wire import Judgement, Said

ID = "01arz3ndektsv4rrffq69g5fav"
TOKEN = "a" * 32
OK = Reply(250, "2.0.0", "queued")
NO = Reply(550, "5.7.1", "refused")
LATER = Reply(451, "4.3.0", "later")
ASK = Judgement(ID, "c1", TOKEN)
ACCEPT = Judgement(ID, "c1", TOKEN, Action.ACCEPT, 250, "2.0.0", "queued")
REFUSE = Judgement(ID, "c1", TOKEN, Action.REFUSE, 550, "5.7.1", "refused")
DEADLINE = ("deadline", OK)
FAILED = ("failed", LATER)
CONFIRM = ("confirm", None)

Input = Judgement | tuple[str, Reply | None]


def run(inputs: list[Input]) -> tuple[list[int], list[int]]:
    """Return the codes of the answers given (at most one), and what was said in turn."""
    memory = VerdictMemory()
    memory.begin(ID, TOKEN)
    answers: list[int] = []
    said: list[int] = []
    for one in inputs:
        step = _apply(memory, one)
        if step.answer:
            answers.append(step.answer.reply.code)
        said += [said.code for _, said in step.say]
    return answers, said


def _apply(memory: VerdictMemory, one: Input) -> Step:
    if isinstance(one, Judgement):
        return memory.judged(one, 0)
    name, reply = one
    if reply is None:
        return memory.confirmed(ID, 0)
    return memory.answered(ID, reply, name, 0)


@pytest.mark.parametrize(
    "inputs, answers, said",
    [
        ([CONFIRM, ACCEPT], [250], [250]),
        ([CONFIRM, REFUSE], [550], [550]),
        ([CONFIRM, REFUSE, ASK, ASK], [550], [550, 550, 550]),
        ([CONFIRM, ACCEPT, ASK], [250], [250, 250]),
        ([CONFIRM, DEADLINE], [250], []),
        ([CONFIRM, DEADLINE, REFUSE], [250], [250]),
        ([CONFIRM, DEADLINE, REFUSE, ASK], [250], [250, 250]),
        ([CONFIRM, ASK, REFUSE], [550], [0, 550]),
        ([CONFIRM, REFUSE, ACCEPT], [550], [550, 550]),
        ([CONFIRM, REFUSE, DEADLINE], [550], [550]),
        ([FAILED], [451], []),
        ([FAILED, ASK], [451], [451]),
        ([FAILED, ACCEPT], [451], [451]),
        ([ACCEPT, FAILED], [451], [451]),
        ([ACCEPT, CONFIRM], [250], [250]),
        ([REFUSE, CONFIRM], [550], [550]),
        ([CONFIRM, replace(ACCEPT, code=354, enhanced=""), ACCEPT], [250], [250]),
        ([ASK, CONFIRM, REFUSE], [550], [0, 550]),
        ([REFUSE, ASK, CONFIRM], [550], [550]),
        ([ACCEPT, REFUSE, CONFIRM], [250], [250]),
        ([CONFIRM, replace(REFUSE, token="b" * 32)], [], []),
        ([CONFIRM, replace(REFUSE, token="b" * 32), ACCEPT], [250], [250]),
        ([CONFIRM, replace(REFUSE, token=""), DEADLINE], [250], []),
        ([CONFIRM, REFUSE, replace(ASK, token="b" * 32)], [550], [550]),
        ([CONFIRM, CONFIRM, DEADLINE, DEADLINE, FAILED], [250], []),
    ],
)
def test_an_id_is_answered_once_and_content_learns_what_was_said(
    inputs: list[Input], answers: list[int], said: list[int]
) -> None:
    assert run(inputs) == (answers, said)


def test_each_process_that_asked_is_told() -> None:
    memory = VerdictMemory()
    memory.begin(ID, TOKEN)
    assert memory.judged(REFUSE, 0) == Step()
    assert memory.judged(replace(REFUSE, said_key="c2"), 0) == Step()
    step = memory.confirmed(ID, 0)
    assert step.say == (("c1", Said(ID, TOKEN, 550)), ("c2", Said(ID, TOKEN, 550)))


def test_4xx_and_5xx_are_remembered_for_an_hour_and_250_is_not() -> None:
    memory = VerdictMemory()
    for message_id, reply in (("one", NO), ("two", LATER), ("three", OK)):
        memory.begin(message_id, TOKEN)
        memory.answered(message_id, reply, "", 100)
    assert memory.remembered == 2
    just_before = memory.judged(replace(ASK, id="two"), 100 + REMEMBER_S - 1)
    assert just_before.say[0][1].code == 451
    after = memory.judged(replace(ASK, id="two"), 100 + REMEMBER_S)
    assert after.say[0][1].code == 250
    assert memory.remembered == 0


def test_the_memory_is_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "REMEMBERED_LIMIT", 3)
    memory = VerdictMemory()
    for number in range(5):
        memory.begin(str(number), TOKEN)
        memory.answered(str(number), NO, "", number)
    codes = [memory.judged(replace(ASK, id=str(number)), 10).say[0][1].code for number in range(5)]
    assert codes == [250, 250, 550, 550, 550]


def test_only_what_is_confirmed_can_be_answered_at_shutdown() -> None:
    memory = VerdictMemory()
    memory.begin("one", TOKEN)
    memory.begin("two", TOKEN)
    memory.confirmed("two", 0)
    assert memory.waiting == ("one", "two")
    assert memory.waiting_confirmed == ("two",)
