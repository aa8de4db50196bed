"""`gatepost tail` and `gatepost drain`."""

import json
import time

from shared.ids import new_id
from tests.integration.console.command import Gatepost
from tests.integration.console.mail import delivered_story


def test_tail_shows_what_was_there_and_follows_a_message_to_its_end(gatepost: Gatepost) -> None:
    mine, other = new_id(), new_id()
    gatepost.write(delivered_story(mine, time.time() - 5))
    gatepost.write([one for one in delivered_story(other, time.time() - 3) if one.kind.value != "received"])
    done = gatepost("tail", "--address", "demo@gatepost.test", "--id", mine, "--count", "7", "--json")
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["id"] for one in events} == {mine}
    assert (events[0]["kind"], events[-1]["kind"]) == ("received", "delivered")
    shown = gatepost("tail", "--kind", "delivered", "--last", "1", "--count", "1").stdout
    assert "delivery" in shown
    assert "delivered" in shown.lower()


def test_tail_refuses_what_is_no_domain(gatepost: Gatepost) -> None:
    done = gatepost("tail", "--domain", "a b")
    assert (done.exit_code, "gatepost:" in done.output) == (1, True)


def test_drain_says_of_each_host_yes_or_no(gatepost: Gatepost) -> None:
    found = gatepost("drain", "--json")
    assert found.exit_code in (0, 1)
    assert isinstance(json.loads(found.stdout), list)
    assert gatepost("drain", "10.9.9.9").exit_code == 1


def test_status_tells_what_needs_attention_and_what_to_do(gatepost: Gatepost) -> None:
    shown = gatepost("status").stdout
    assert "critical: edge is not ready" in shown
    assert "Look at the log of edge" in shown
    assert gatepost.json("status")["alerts"][0]["severity"] == "critical"
