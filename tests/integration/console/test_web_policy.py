"""The policy in the console: checked as it is typed, applied until it is confirmed, taken back, rolled back."""

import html
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from services.console.actions import policies
from services.console.actions.desk import ActionError, NotUnderstood
from services.console.actions.policies import apply_policy, confirm, policy_now, roll_back, take_back
from services.console.actions.policy_history import history
from services.console.database import Database
from services.console.identity.rights import Role
from services.console.tables import audit, policy_history
from services.console.versions import Standing
from shared.bans import Ban, ban_key, encode_ban
from shared.policy import PolicyError
from shared.policy_entry import PolicyEntry
from shared.state.redis import RedisState
from tests.integration.console.policy_scene import FIRST, LOCKED, ME, SECOND, PolicyScene, based_on
from tests.rabbit import Rabbit
from tests.redis import RedisServer

RELAY = FIRST + '[relay]\nnetworks = ["0.0.0.0/0"]\n'


@pytest.fixture
async def scene(rabbit: Rabbit, sqlite: Database, tmp_path: Path) -> AsyncIterator[PolicyScene]:
    made = PolicyScene(rabbit, sqlite, tmp_path)
    yield made
    await made.close()


async def standings(scene: PolicyScene) -> list[tuple[int, Standing]]:
    return [(one.version, one.standing) for one in (await history(scene.host, 50)).versions]


# ---- the actions


async def test_a_version_waits_for_its_confirmation_and_then_stays(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    done = await apply_policy(scene.host, SECOND, "second", based_on=1, confirm_within_s=600)
    now = await policy_now(scene.host)
    assert now is not None
    assert (now.entry.version, now.waits, now.back_to.version if now.back_to else None) == (2, True, 1)
    assert done.entry.confirm_by == pytest.approx(time.time() + 600, abs=60)
    assert await standings(scene) == [(2, Standing.WAITS), (1, Standing.EARLIER)]
    confirmed = await confirm(scene.host, 2)
    assert (confirmed.entry.version, confirmed.entry.text, confirmed.entry.confirm_by) == (3, SECOND, None)
    assert await standings(scene) == [(3, Standing.IN_FORCE), (2, Standing.CONFIRMED), (1, Standing.EARLIER)]


async def test_a_version_that_waits_is_taken_back_at_once(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    await apply_policy(scene.host, SECOND, "second", confirm_within_s=600)
    done = await take_back(scene.host, 2, "no good")
    assert (done.entry.text, done.entry.reason) == (FIRST, "version 2 is taken back: no good")
    assert await standings(scene) == [(3, Standing.IN_FORCE), (2, Standing.TAKEN_BACK), (1, Standing.EARLIER)]


async def test_what_went_back_is_told_and_can_neither_be_confirmed_nor_taken_back(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    await scene.publish(PolicyEntry(2, "a", "second", time.time() - 100, SECOND, time.time() - 40))
    for what in (confirm, take_back):
        with pytest.raises(ActionError, match="nobody confirmed version 2 in time"):
            await what(scene.host, 2)
    # The next one that is applied writes into the history what only the stream had.
    await apply_policy(scene.host, SECOND, "again")
    assert await standings(scene) == [(3, Standing.IN_FORCE), (2, Standing.WENT_BACK), (1, Standing.EARLIER)]


async def test_while_one_waits_nothing_else_is_applied(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    await apply_policy(scene.host, SECOND, "second", confirm_within_s=600)
    for text in (SECOND, FIRST, FIRST + "# more\n"):
        with pytest.raises(ActionError, match=r"version 2 of root waits for its confirmation until .* take it back"):
            await apply_policy(scene.host, text, "third")
    assert [entry.version for entry in await scene.entries()] == [1, 2]


async def test_a_first_policy_cannot_wait_for_there_is_nothing_to_go_back_to(scene: PolicyScene) -> None:
    with pytest.raises(ActionError, match="nothing to go back to"):
        await apply_policy(scene.host, FIRST, "first", confirm_within_s=600)
    assert await scene.entries() == []


@pytest.mark.parametrize("seconds", [-1, 0, 59, 3601])
async def test_a_version_waits_a_minute_at_least_and_an_hour_at_most(scene: PolicyScene, seconds: int) -> None:
    with pytest.raises(NotUnderstood, match="60 to 3600"):
        await apply_policy(scene.host, FIRST, "first", confirm_within_s=seconds)


async def test_what_is_in_force_for_good_need_not_be_confirmed(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    for what in (confirm, take_back):
        with pytest.raises(ActionError, match="for good"):
            await what(scene.host, 1)
        with pytest.raises(ActionError, match="version 7 is not in force"):
            await what(scene.host, 7)


async def test_rolling_back_makes_a_new_version_of_an_old_document(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    await apply_policy(scene.host, SECOND, "second")
    done = await roll_back(scene.host, 1, "it broke", based_on=2)
    assert (done.entry.version, done.entry.text, done.entry.reason) == (3, FIRST, "back to version 1: it broke")
    assert '-recipients = ["demo", "second"]' in done.diff


async def test_who_did_what_stands_in_the_audit(scene: PolicyScene, sqlite: Database) -> None:
    await apply_policy(scene.host, FIRST, "first")
    await apply_policy(scene.host, SECOND, "second", confirm_within_s=60)
    await confirm(scene.host, 2)
    await roll_back(scene.host, 1, "it broke", confirm_within_s=60)
    await take_back(scene.host, 4)
    async with sqlite.reading() as connection:
        rows = await connection.execute(select(audit.c.action, audit.c.target).order_by(audit.c.at))
        assert [tuple(row) for row in rows] == [
            ("policy apply", "version 1"),
            ("policy apply", "version 2"),
            ("policy confirm", "version 3"),
            ("policy roll back", "version 4"),
            ("policy take back", "version 5"),
        ]


async def test_on_the_consoles_own_host_a_lock_out_is_passed_over_and_said(scene: PolicyScene) -> None:
    done = await apply_policy(scene.host, LOCKED, "from the host")
    assert done.is_new
    assert "was not looked at" in done.notes[0]


async def test_an_open_relay_is_refused_with_rule_and_address(scene: PolicyScene) -> None:
    with pytest.raises(PolicyError, match=r"open relay: a client at [\d.]+ could .* relay\.networks \(0\.0\.0\.0/0\)"):
        await apply_policy(scene.host, RELAY, "mad")


async def test_a_history_without_the_broker_says_that_it_does_not_know_what_holds(
    sqlite: Database, scene: PolicyScene, rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apply_policy(scene.host, FIRST, "first")

    async def away(_broker: object) -> list[PolicyEntry]:
        raise ActionError("the policy stream cannot be read: gone")

    monkeypatch.setattr(policies, "read_stream", away)
    found = await history(scene.host, 50)
    assert [one.standing for one in found.versions] == [Standing.EARLIER]
    assert "gone" in (found.problem or "")


# ---- the pages


async def test_the_document_is_changed_with_its_diff_shown_and_a_reason_asked(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser() as browser:
        page = await browser.get("/policy")
        assert html.escape(FIRST, quote=True).replace("&quot;", "&#34;") in page.text
        shown = await browser.post("/policy/review", data={"text": SECOND, "based_on": based_on(page)})
        assert "+recipients = [&#34;demo&#34;, &#34;second&#34;]" in shown.text
        # Nothing is applied yet, and not without a reason.
        data = {"text": SECOND.replace("\n", "\r\n"), "based_on": "1", "keep": "good"}
        assert "Say in a few words why" in (await browser.post("/policy/apply", data=data)).text
        assert (await scene.held()).version == 1  # type: ignore[union-attr]
        done = await browser.post("/policy/apply", data=data | {"reason": "a colleague"})
        assert (done.status_code, done.headers["location"]) == (303, "/policy?note=applied")
    held = await scene.held()
    assert held is not None
    assert (held.version, held.text, held.reason, held.confirm_by) == (2, SECOND, "a colleague", None)


async def test_a_change_asks_for_its_confirmation_unless_told_otherwise(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser() as browser:
        done = await browser.post("/policy/apply", data={"text": SECOND, "based_on": "1", "reason": "try"})
        assert done.headers["location"] == "/policy?note=waits"
        for path in ("/policy", "/policy/history", "/policy/1", "/policy/2", "/access"):
            page = await browser.get(path)
            assert "Version 2 waits for its confirmation until" in page.text, path
            assert "Take it back now" in page.text
        held = await scene.held()
        assert held is not None
        assert held.confirm_by == pytest.approx(time.time() + 600, abs=60)
        refused = await browser.post("/policy/apply", data={"text": FIRST, "based_on": "2", "reason": "x"})
        assert refused.status_code == 409
        assert (await browser.post("/policy/confirm", data={"version": "2"})).status_code == 303
        assert "waits for its confirmation" not in (await browser.get("/policy")).text
        page = await browser.get("/policy/history")
        assert [word in page.text for word in ("in force", "confirmed", "earlier")] == [True] * 3


async def test_what_is_typed_is_checked_with_key_and_line_and_without_a_broker(
    sqlite: Database, tmp_path: Path
) -> None:
    from services.console.web.backstage import Backstage  # noqa: PLC0415
    from tests.integration.console.site import Site  # noqa: PLC0415
    from tests.integration.console.web_settings import settings_for  # noqa: PLC0415

    site = Site(Backstage(settings_for(sqlite, tmp_path), sqlite))
    async with site.browser() as browser:
        for text, said in (
            ("[limits]\r\nrecipients = 5\r\n", "Line 2</a>: <code>limits.recipients</code>"),
            ("x = ", "not TOML"),
            (RELAY, "would be an open relay: a client at"),
            (LOCKED, "this would lock you out: you act from 192.0.2.7, and [[access]] rule 1"),
            (SECOND, "This can be applied: 1 domain, 3 listeners."),
        ):
            answer = await browser.post("/policy/check", data={"text": text})
            assert answer.status_code == 200
            assert said in html.unescape(answer.text), answer.text


async def test_a_policy_that_locks_its_administrator_out_is_refused_with_the_proof(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser() as browser:
        data = {"text": LOCKED, "based_on": "1", "reason": "tidy"}
        refused = await browser.post("/policy/apply", data=data)
        assert refused.status_code == 422
        assert "deny from 192.0.2.0/24 (console)" in refused.text
    async with scene.site.api() as program:
        refused = await program.post("/api/v1/policy", json={"text": LOCKED, "reason": "tidy"})
        assert refused.status_code == 409
        assert f"you act from {ME}" in refused.json()["detail"]
    assert (await scene.held()).version == 1  # type: ignore[union-attr]


async def test_a_banned_administrator_may_not_take_away_the_rule_that_lets_them_in(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path, redis_server: RedisServer
) -> None:
    scene = PolicyScene(rabbit, sqlite, tmp_path, redis_server.settings)
    allowed = FIRST + f'[[access]]\naction = "allow"\nnetworks = ["{ME}"]\n'
    await apply_policy(scene.host, allowed, "first")
    state = RedisState(redis_server.settings)
    await state.start()
    await state.put(ban_key(ME), encode_ban(Ban(time.time() + 900, "login-failed", time.time(), 1)), 900)
    await state.close()
    async with scene.site.api() as program:
        refused = await program.post("/api/v1/policy", json={"text": FIRST, "reason": "tidy"})
        assert (refused.status_code, "which is banned until" in refused.json()["detail"]) == (409, True)
        taken = await program.post("/api/v1/policy", json={"text": allowed + "# more\n", "reason": "a comment"})
        assert taken.status_code == 200, taken.text
    await scene.close()


async def test_a_change_from_an_older_version_does_not_undo_a_newer_one(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser() as browser:
        await apply_policy(scene.host, SECOND, "second")
        shown = await browser.post("/policy/review", data={"text": FIRST + "# mine\n", "based_on": "1"})
        assert "has changed since version 1" in shown.text
        data = {"text": FIRST + "# mine\n", "based_on": "1", "reason": "x"}
        assert (await browser.post("/policy/apply", data=data)).status_code == 409


async def test_any_two_versions_are_compared_and_one_is_rolled_back_to(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    await apply_policy(scene.host, SECOND, "second")
    async with scene.site.browser() as browser:
        assert "+recipients = [&#34;demo&#34;]" in (await browser.get("/policy/compare?old=2&new=1")).text
        page = await browser.get("/policy/1")
        assert "Back to this version" in page.text
        data = {"based_on": based_on(page), "keep": "good"}
        assert (await browser.post("/policy/1/rollback", data=data)).status_code == 409
        done = await browser.post("/policy/1/rollback", data=data | {"reason": "it broke"})
        assert done.headers["location"] == "/policy?note=applied"
        assert (await browser.get("/policy/99")).status_code == 404
    held = await scene.held()
    assert held is not None
    assert (held.version, held.text) == (3, FIRST)


async def test_domain_managers_see_no_policy_and_nobody_but_administrators_changes_it(scene: PolicyScene) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser(Role.DOMAIN_MANAGER, ["gatepost.test"]) as browser:
        for path in ("/policy", "/policy/history", "/policy/1", "/policy/compare?old=1&new=1"):
            assert (await browser.get(path)).status_code == 403, path
    for role in (Role.OPERATOR, Role.VIEWER):
        async with scene.site.browser(role) as browser:
            page = await browser.get("/policy")
            assert page.status_code == 200
            assert "<textarea" not in page.text
            assert (await browser.post("/policy/apply", data={"text": SECOND, "reason": "x"})).status_code == 403


# ---- the API


async def test_the_api_applies_confirms_takes_back_and_tells(scene: PolicyScene) -> None:
    async with scene.site.api() as program:
        assert (await program.get("/api/v1/policy")).status_code == 404
        assert (await program.post("/api/v1/policy", json={"text": FIRST, "reason": "first"})).status_code == 200
        new = {"text": SECOND, "reason": "second", "based_on": 1, "confirm_within_s": 60}
        assert (await program.post("/api/v1/policy", json=new)).json()["entry"]["version"] == 2
        now = (await program.get("/api/v1/policy")).json()
        assert (now["waits"], now["back_to"]["version"]) == (True, 1)
        assert (await program.post("/api/v1/policy/take-back", json={"version": 2})).json()["entry"]["text"] == FIRST
        page = (await program.get("/api/v1/policy/versions?limit=2")).json()
        assert [one["standing"] for one in page["items"]] == ["in force", "taken back"]
        rest = (await program.get(f"/api/v1/policy/versions?cursor={page['next']}")).json()
        assert [one["version"] for one in rest["items"]] == [1]
        diff = (await program.get("/api/v1/policy/diff?old=1&new=2")).json()["diff"]
        assert '+recipients = ["demo", "second"]' in diff
        wrong = (await program.post("/api/v1/policy/check", json={"text": "[limits]\nrecipients = 5\n"})).json()
        assert (wrong["wrong"][0]["key"], wrong["wrong"][0]["line"]) == ("limits.recipients", 2)
        back = await program.post("/api/v1/policy/versions/2/rollback", json={"reason": "try again"})
        assert back.json()["entry"]["text"] == SECOND
        assert (await program.post("/api/v1/policy/confirm", json={"version": 4})).status_code == 409
        bad = await program.post("/api/v1/policy", json={"text": "x = 1", "reason": "x"})
        assert (bad.status_code, "x: unknown key" in bad.json()["detail"]) == (422, True)


async def test_a_lost_history_is_made_whole_from_the_stream(scene: PolicyScene, sqlite: Database) -> None:
    await apply_policy(scene.host, FIRST, "first")
    async with sqlite.writing() as connection:
        await connection.execute(policy_history.delete())
    await apply_policy(scene.host, SECOND, "second")
    assert await standings(scene) == [(2, Standing.IN_FORCE), (1, Standing.EARLIER)]
