"""What would this message meet today, in the console and by the API."""

from pathlib import Path

from services.console.actions.policies import apply_policy
from services.console.database import Database
from services.console.identity.rights import Role
from tests.integration.console.policy_scene import FIRST, LOCKED, PolicyScene
from tests.rabbit import Rabbit


async def test_a_message_is_followed_through_the_policy_in_force_or_a_draft(
    rabbit: Rabbit, sqlite: Database, tmp_path: Path
) -> None:
    scene = PolicyScene(rabbit, sqlite, tmp_path)
    await apply_policy(scene.host, FIRST, "first")
    async with scene.site.browser() as browser:
        assert "What would this message meet" in (await browser.get("/policy/simulate")).text
        query = "client=192.0.2.9&listener=mx&sender=x%40far.test&recipients=nobody%40gatepost.test"
        page = await browser.get(f"/policy/simulate?{query}")
        assert "It would be refused: recipient nobody@gatepost.test" in page.text
        assert "domains.gatepost.test.recipients" in page.text
        for wrong in ("client=x&recipients=a%40b.test", "client=192.0.2.9&recipients=", f"{query}&listener=none"):
            assert (await browser.get(f"/policy/simulate?{wrong}")).status_code == 422
    async with scene.site.api(Role.VIEWER) as program:
        message = {"client": "192.0.2.9", "sender": "x@far.test", "recipients": ["demo@gatepost.test"]}
        found = (await program.post("/api/v1/simulate", json=message)).json()
        assert (found["version"], found["ends_at"]) == (1, None)
        denied = message | {"text": LOCKED.replace('services = ["console"]\n', "")}
        assert (await program.post("/api/v1/simulate", json=denied)).json()["ends_at"]["what"] == "access rules"
        assert (await program.post("/api/v1/simulate", json=message | {"text": "x = 1"})).status_code == 422
    async with scene.site.api(Role.DOMAIN_MANAGER, ["gatepost.test"]) as program:
        assert (await program.post("/api/v1/simulate", json=message)).status_code == 403
    await scene.close()
