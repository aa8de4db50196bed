"""Work behind a page: once at a time, its result kept, its failure told."""

import asyncio

import pytest
from structlog.testing import capture_logs

from services.console.actions.desk import ActionError
from services.console.web import errands
from services.console.web.errands import Errand, Errands


async def test_an_errand_that_runs_is_not_started_again_and_its_result_is_kept() -> None:
    known, go = Errands(), asyncio.Event()
    runs: list[int] = []

    async def work(errand: Errand) -> str:
        runs.append(1)
        await go.wait()
        errand.done.append("step")
        return "done"

    first = known.start("a", work, 1.0, total=1)
    assert known.start("a", work, 2.0) is first
    go.set()
    await known.wait()
    assert (len(runs), first.result, first.done, first.is_over) == (1, "done", ["step"], True)
    assert known.find("a") is first
    assert known.start("a", work, 3.0) is not first
    await known.wait()


async def test_a_failure_is_told_and_one_that_nobody_expected_is_logged_without_its_text() -> None:
    known = Errands()

    async def refused(_errand: Errand) -> None:
        raise ActionError("there is no broker")

    async def broken(_errand: Errand) -> None:
        raise RuntimeError("a secret")

    with capture_logs() as logged:
        first, second = known.start("a", refused, 1.0), known.start("b", broken, 1.0)
        await known.wait()
    assert (first.problem, first.is_over) == ("there is no broker", True)
    assert "RuntimeError" in second.problem
    assert "secret" not in second.problem
    assert [record["event"] for record in logged] == ["errand-failed"]


async def test_old_results_go_when_too_many_came_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "_KEPT", 3)
    known = Errands()
    for number in range(5):
        known.put(f"{number}", number, 1.0)
    assert [known.find(f"{number}") is not None for number in range(5)] == [False, False, True, True, True]
