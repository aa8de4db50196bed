"""Access rules, bans and brakes in the console."""

import html
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console.actions.policies import apply_policy
from services.console.database import Database
from services.console.identity.rights import Role
from shared.brake import brake_key
from shared.policy import parse_policy
from shared.state.redis import RedisState
from tests.integration.console.policy_scene import ALL_BUT_ADMINISTRATORS, FIRST, ME, PolicyScene, based_on
from tests.rabbit import Rabbit
from tests.redis import RedisServer

RULES = (
    FIRST
    + """
# the office
[[access]]
action = "allow"
networks = ["198.51.100.0/24"]

# spammers
[[access]]
action = "drop"
networks = ["203.0.113.0/24"]
"""
)


@pytest.fixture
async def scene(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path, redis_server: RedisServer
) -> AsyncIterator[PolicyScene]:
    made = PolicyScene(rabbit, sqlite, tmp_path, redis_server.settings)
    yield made
    await made.close()


async def actions(scene: PolicyScene) -> list[str]:
    held = await scene.held()
    assert held is not None
    return [rule.action.value for rule in parse_policy(held.text).access]


async def test_a_rule_is_added_with_its_diff_shown_a_reason_asked_and_comments_kept(scene: PolicyScene) -> None:
    await apply_policy(scene.host, RULES, "first")
    async with scene.site.browser() as browser:
        page = await browser.get("/access")
        assert "from 203.0.113.0/24" in page.text
        data = {
            "version": based_on(page),
            "action": "deny",
            "networks": "192.0.2.128/25 2001:db8::/32",
            "services": ["smtp"],
            "place": "2",
            "note": "seen in May",
        }
        shown = await browser.post("/access/add", data=data)
        assert shown.status_code == 200, shown.text
        text = html.unescape(shown.text)
        assert "+# seen in May" in text
        assert '+networks = ["192.0.2.128/25", "2001:db8::/32"]' in text
        assert await actions(scene) == ["allow", "drop"]
        document = text.split('aria-label="The document" tabindex="-1">\n', 1)[1].split("</textarea>", 1)[0]
        done = await browser.post(
            "/policy/apply", data={"text": document, "based_on": "1", "reason": "spam", "keep": "good"}
        )
        assert done.status_code == 303
    assert await actions(scene) == ["allow", "deny", "drop"]
    held = await scene.held()
    assert held is not None
    assert all(comment in held.text for comment in ("# ours", "# the office", "# spammers"))


async def test_a_rule_that_locks_its_author_out_is_refused_before_anything_is_applied(scene: PolicyScene) -> None:
    await apply_policy(scene.host, RULES, "first")
    async with scene.site.browser() as browser:
        refused = await browser.post("/access/add", data={"version": "1", "action": "deny", "networks": ME})
        assert refused.status_code == 422
        assert "this would lock you out" in refused.text


async def test_a_rule_that_is_none_is_told_beside_the_form(scene: PolicyScene) -> None:
    await apply_policy(scene.host, RULES, "first")
    async with scene.site.browser() as browser:
        refused = await browser.post("/access/add", data={"version": "1", "action": "deny", "networks": "nonsense"})
        assert refused.status_code == 422
        assert "networks.0" in refused.text


async def test_rules_move_and_go_by_the_api(scene: PolicyScene) -> None:
    await apply_policy(scene.host, RULES, "first")
    async with scene.site.api() as program:
        listed = (await program.get("/api/v1/access")).json()
        assert [rule["words"] for rule in listed["rules"]] == ["allow from 198.51.100.0/24", "drop from 203.0.113.0/24"]
        why = {"reason": "order", "based_on": listed["version"]}
        assert (await program.post("/api/v1/access/2/move", json=why | {"to": 1})).status_code == 200
        assert await actions(scene) == ["drop", "allow"]
        # Places are of a version: what was seen before the move is not taken out after it.
        assert (await program.post("/api/v1/access/1/remove", json=why)).status_code == 409
        assert (await program.post("/api/v1/access/1/remove", json={"reason": "old"})).status_code == 200
        assert await actions(scene) == ["allow"]
        rule = {"action": "tarpit", "countries": ["XX"]}
        new = {"rule": rule, "reason": "slow", "place": 1, "confirm_within_s": 60}
        assert (await program.post("/api/v1/access", json=new)).json()["entry"]["confirm_by"] is not None
        assert await actions(scene) == ["tarpit", "allow"]
        assert (await program.post("/api/v1/access/9/remove", json={"reason": "x"})).status_code == 409


async def test_bans_are_set_listed_and_lifted(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser(Role.OPERATOR) as browser:
        done = await browser.post("/access/bans/add", data={"address": "203.0.113.9", "length": "15min", "why": "spam"})
        assert done.headers["location"] == "/access?note=banned#bans"
        page = await browser.get("/access?note=banned")
        assert "203.0.113.9" in page.text
        assert "every edge heeds it" in page.text
        wrong = await browser.post("/access/bans/add", data={"address": "nobody", "length": "1d"})
        assert wrong.status_code == 422
        assert (await browser.post("/access/bans/lift", data={"address": "203.0.113.9"})).status_code == 303
        assert "Nobody is banned." in (await browser.get("/access")).text


async def test_nobody_bans_the_address_from_which_they_act(scene: PolicyScene) -> None:
    async with scene.site.api(Role.OPERATOR) as program:
        refused = await program.post("/api/v1/bans", json={"address": ME})
        assert (refused.status_code, "lock you out" in refused.json()["detail"]) == (409, True)
        made = await program.post("/api/v1/bans", json={"address": "2001:db8::1", "length_s": 60})
        assert (made.status_code, made.json()["subject"]) == (201, "2001:db8::/64")
        assert [one["subject"] for one in (await program.get("/api/v1/bans")).json()] == ["2001:db8::/64"]
        assert (await program.delete("/api/v1/bans?address=2001:db8::1")).json() == {"subject": "2001:db8::/64"}


async def test_brakes_are_listed_and_lifted(scene: PolicyScene, redis_server: RedisServer) -> None:
    state = RedisState(redis_server.settings)
    await state.start()
    await state.put(brake_key("anna@gatepost.test"), "01m87tam94fd8av91mr24pfgn9", 600)
    await state.close()
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser(Role.OPERATOR) as browser, scene.site.api(Role.OPERATOR) as program:
        assert [one["login"] for one in (await program.get("/api/v1/brakes")).json()] == ["anna@gatepost.test"]
        assert "anna@gatepost.test" in (await browser.get("/access")).text
        done = await browser.post("/access/brakes/lift", data={"login": "anna@gatepost.test"})
        assert done.status_code == 303
        assert (await program.get("/api/v1/brakes")).json() == []
        assert (await program.delete("/api/v1/brakes/anna@gatepost.test")).status_code == 409


async def test_rules_are_changed_by_administrators_alone(scene: PolicyScene) -> None:
    await apply_policy(scene.host, RULES, "first")
    for role in ALL_BUT_ADMINISTRATORS:
        async with scene.site.browser(role) as browser:
            assert (await browser.post("/access/remove", data={"version": "1", "place": "1"})).status_code == 403
            page = await browser.get("/access")
            assert page.status_code == (200 if role is Role.OPERATOR else 403)
            assert "Add a rule" not in page.text
    assert await actions(scene) == ["allow", "drop"]
