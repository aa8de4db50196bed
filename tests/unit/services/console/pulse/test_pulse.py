"""Reading figures, answers and times; what is kept; who runs where."""

import asyncio

import pytest

from services.console.pulse.asking import live, refused
from services.console.pulse.broker import read_depth, read_node
from services.console.pulse.clocks import Stamp, skews
from services.console.pulse.facts import Growth
from services.console.pulse.growth import growing
from services.console.pulse.kept import Kept
from services.console.pulse.measures import read_measures
from services.console.pulse.surroundings import read_signatures_at

METRICS = """# HELP gatepost_edge_open_sessions SMTP sessions open now
# TYPE gatepost_edge_open_sessions gauge
gatepost_edge_open_sessions 7.0
gatepost_edge_sessions_total{listener="mx"} 3.0
gatepost_edge_sessions_total{listener="a\\"b"} 4.0
gatepost_edge_verdict_wait_seconds_bucket{le="0.1"} 9.0
gatepost_edge_waiting nan
python_info{version="3"} 1.0
gatepost_broken{ 1
"""


def test_figures_are_summed_and_what_is_not_ours_is_left_out() -> None:
    measures = read_measures(METRICS)
    assert measures.total("gatepost_edge_sessions_total") == 7
    assert measures.total("python_info") is None
    assert {one.name for one in measures.all} == {"gatepost_edge_open_sessions", "gatepost_edge_sessions_total"}
    assert live({"edge": measures}).sessions == 7
    assert live({}).sessions is None


@pytest.mark.parametrize(
    ("version", "refused_version", "told"), [(3, 4, 4), (4, 4, 0), (5, 4, 0), (None, 1, 1), (3, 0, 0)]
)
def test_a_refused_policy_counts_until_a_newer_one_is_in_force(
    version: int | None, refused_version: int, told: int
) -> None:
    measures = read_measures(f"gatepost_policy_refused_version {refused_version}.0\n")
    assert refused(measures, version) == told
    assert refused(read_measures(""), version) == 0


def test_of_endless_metrics_only_so_many_lines_are_read() -> None:
    measures = read_measures("\n".join(f"gatepost_x_{number} 1" for number in range(20_000)))
    assert len(measures.all) == 5_000


def test_a_queue_without_figures_yet_is_empty() -> None:
    depth = read_depth({"name": "gatepost.content"})
    assert (depth.ready, depth.came_per_min, depth.members) == (0, None, 0)
    depth = read_depth(
        {"name": "q", "messages_ready": 3, "message_stats": {"publish_details": {"rate": 0.5}}, "members": ["a", "b"], "online": ["a"]}
    )  # fmt: skip
    assert (depth.ready, depth.came_per_min, depth.members, depth.online) == (3, 30.0, 2, 1)


def test_a_node_that_is_down_has_no_alarm() -> None:
    assert read_node({"name": "r@a", "running": False, "mem_alarm": True}).memory_alarm is False
    assert read_node({"name": "r@a", "running": True, "disk_free_alarm": True}).disk_alarm is True


@pytest.mark.parametrize(
    ("answer", "at"),
    [
        (b"ClamAV 1.0.7/27500/Mon Nov 23 09:26:40 2026\0", 1_795_425_998.0 + 2),
        (b"ClamAV 1.0.7\0", None),
        (b"ClamAV 1.0.7/1/not a time at all\0", None),
        (b"", None),
        (b"\xff" * 400, None),
    ],
)
def test_the_age_of_signatures_is_read_from_what_clamd_says(answer: bytes, at: float | None) -> None:
    assert read_signatures_at(answer) == at


def test_a_host_that_judges_what_has_not_come_yet_is_behind() -> None:
    stamps = [Stamp("m", 100.0, "edge1", "received"), Stamp("m", 90.0, "content1", "judged")]
    (skew,) = skews(stamps, "console1", 110.0)
    assert (skew.host, skew.other, skew.ahead_s) == ("edge1", "content1", 10.0)


def test_a_host_that_tells_of_the_future_is_ahead_of_us() -> None:
    (skew,) = skews([Stamp("m", 130.0, "edge1", "received")], "console1", 100.0)
    assert (skew.host, skew.other, skew.ahead_s) == ("edge1", "console1", 30.0)


def test_clocks_that_agree_within_two_seconds_are_not_spoken_of() -> None:
    stamps = [
        Stamp("m", 100.0, "edge1", "received"),
        Stamp("m", 99.0, "content1", "judged"),
        Stamp("m", 99.5, "delivery1", "attempt"),
    ]
    assert skews(stamps, "console1", 100.0) == ()


def test_a_queue_that_only_gets_longer_grows_and_one_that_swings_does_not() -> None:
    steady = [(float(30 * step), {"q": 100 * step, "q.retry.60s": 900 * step}) for step in range(12)]
    assert growing(steady) == (Growth("q", 0, 1100, 330.0),)
    swinging = [(float(30 * step), {"q": 1000 * (step % 2)}) for step in range(12)]
    assert growing(swinging) == ()
    assert growing(steady[:3]) == ()
    assert growing([]) == ()


async def test_one_asking_serves_all_who_come_within_its_time() -> None:
    asked, now = [], [0.0]
    kept: Kept[int] = Kept(5.0, lambda: now[0])

    async def ask() -> int:
        asked.append(1)
        await asyncio.sleep(0)
        return len(asked)

    assert await asyncio.gather(*(kept.get(ask) for _ in range(10))) == [1] * 10
    now[0] = 4.0
    assert await kept.get(ask) == 1
    now[0] = 6.0
    assert await kept.get(ask) == 2


async def test_who_has_no_patience_gets_the_latest_and_the_asking_goes_on() -> None:
    release = asyncio.Event()
    kept: Kept[int] = Kept(0.0)

    async def slow() -> int:
        await release.wait()
        return 7

    assert await kept.get(slow, patience_s=0.0) is None
    release.set()
    assert await kept.get(slow) == 7
    await kept.close()


async def test_an_asking_that_failed_is_not_kept() -> None:
    kept: Kept[int] = Kept(5.0)

    async def fail() -> int:
        raise OSError

    async def work() -> int:
        return 3

    with pytest.raises(OSError):
        await kept.get(fail)
    assert await kept.get(work) == 3
