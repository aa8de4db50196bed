"""Reading the policy stream: it is over soon where everything that this process knows of was read."""

import time
from pathlib import Path

import pytest

from services.console.actions.desk import ActionError
from services.console.actions.policies import active_policy, apply_policy
from services.console.database import Database
from shared.policy_entry import PolicyEntry
from tests.integration.console.policy_scene import FIRST, PolicyScene
from tests.rabbit import Rabbit


async def test_what_was_published_here_is_read_without_a_long_silence(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = PolicyScene(rabbit, sqlite, tmp_path)
    try:
        await apply_policy(scene.host, FIRST, "the first")
        # A reading that waited for it would not be over before its deadline, and fail.
        monkeypatch.setattr("services.console.actions.policy_stream._SILENCE_S", 60)
        entry = await active_policy(scene.host)
        assert entry is not None
        assert (entry.version, entry.text) == (1, FIRST)
    finally:
        await scene.close()


async def test_what_another_published_is_waited_for(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = PolicyScene(rabbit, sqlite, tmp_path)
    monkeypatch.setattr("services.console.actions.policy_stream._SILENCE_S", 60)
    monkeypatch.setattr("services.console.actions.policy_stream._READ_DEADLINE_S", 2)
    try:
        await scene.publish(PolicyEntry(1, "other", "elsewhere", time.time(), FIRST))
        with pytest.raises(ActionError, match="cannot be read"):
            await active_policy(scene.host)
    finally:
        await scene.close()
