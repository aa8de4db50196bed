"""Whether a machine can be taken down."""

from collections.abc import Mapping
from typing import Any

from services.console.actions.drain import Presence, broker_hosts, judge_drain, presences
from services.console.pulse.facts import Broker
from shared.broker.topology import Queue
from tests.unit.services.console.pulse.gateway import depth, node, well

ONE, TWO = "10.0.0.1", "10.0.0.2"


def both(*services: str, in_hand: int = 0) -> list[Presence]:
    return [Presence(service, host, in_hand, 2) for host in (ONE, TWO) for service in services]


def test_a_machine_whose_services_all_run_elsewhere_too_can_go() -> None:
    answer = judge_drain(ONE, both("edge", "content", "delivery", "console", in_hand=3), well(), is_broker=False)
    assert answer.can
    assert answer.why_not == ()
    assert any("content has 3 in hand" in text for text in answer.meanwhile)
    assert answer.how


def test_the_only_one_of_a_stage_cannot_go_and_it_is_said_what_waits() -> None:
    for service, text in (
        ("edge", "nobody takes mail"),
        ("content", "waits unexamined"),
        ("delivery", "waits in its queue"),
    ):
        answer = judge_drain(ONE, [Presence(service, ONE, 0, 2)], well(), is_broker=False)
        assert not answer.can
        assert text in answer.why_not[0]


def test_another_that_is_connected_but_takes_nothing_does_not_count() -> None:
    everywhere = [Presence("content", ONE, 0, 2), Presence("content", TWO, 0, 0)]
    assert not judge_drain(ONE, everywhere, well(), is_broker=False).can


def test_the_only_console_can_go_once_its_recorder_is_caught_up() -> None:
    alone = [Presence("console", ONE, 0, 2)]
    answer = judge_drain(ONE, alone, well(), is_broker=False)
    assert answer.can
    assert "no other console runs" in answer.meanwhile[0]
    behind = well(queues=(depth(Queue.EVENTS.value, 5000),))
    assert "not caught up: 5000" in judge_drain(ONE, alone, behind, is_broker=False).why_not[0]


def test_the_broker_goes_only_where_its_queues_keep_their_majority() -> None:
    three = Broker("4", tuple(node(f"r@{number}") for number in range(3)))
    assert "only node" in judge_drain(ONE, [], well(), is_broker=True).why_not[0]
    assert judge_drain(ONE, [], well(broker=three), is_broker=True).can
    lame = well(broker=three, queues=(depth(Queue.CONTENT.value, online=2),))
    assert "would lose the majority" in judge_drain(ONE, [], lame, is_broker=True).why_not[0]


def test_an_alarm_is_mended_first() -> None:
    alarmed = well(broker=Broker("4", (node(), node("r@2", memory_alarm=True))))
    assert "alarm" in judge_drain(ONE, both("edge"), alarmed, is_broker=False).why_not[0]


def test_who_runs_where_is_read_from_the_connections_and_commands_of_people_are_none() -> None:
    def connection(name: str, title: str, peer: str) -> dict[str, object]:
        return {"name": name, "peer_host": peer, "host": TWO, "client_properties": {"connection_name": title}}

    connections: list[Mapping[str, Any]] = [
        connection("a", "content-consume@gate1", ONE), connection("b", "content-publish@gate1", ONE),
        connection("c", "gatepost-console-recorder", "::ffff:" + TWO), connection("d", "gatepost-command", "10.0.0.9"),
        connection("e", "edge-publish", TWO), {"name": "f"},
    ]  # fmt: skip
    channels: list[Mapping[str, Any]] = [
        {"connection_details": {"name": "a"}, "messages_unacknowledged": 4, "consumer_count": 3},
        {"connection_details": {"name": "d"}, "messages_unacknowledged": 1, "consumer_count": 1}, {},
    ]  # fmt: skip
    assert presences(connections, channels) == [
        Presence("content", ONE, 4, 3), Presence("edge", TWO, 0, 0), Presence("console", TWO, 0, 0),
    ]  # fmt: skip
    assert broker_hosts(connections[:5]) == {TWO}
    assert broker_hosts([{"peer_host": "127.0.0.1", "host": "127.0.0.1"}]) == {"127.0.0.1"}
