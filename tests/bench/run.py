"""Owns `make bench`: starts the peers side by side, proves that they do their work, measures them in turn, reports.

Input: the command line. Output: `docs/performance.md` with the new figures; progress on standard output.
On failure: status 1 with the reason. Everything that was started is stopped, also on Ctrl-C and SIGTERM.
"""

import argparse
import datetime as dt
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from tests.bench.cpu import ProcessGone
from tests.bench.lab.child import ChildFailed
from tests.bench.lab.interrupt import end_in_order
from tests.bench.lab.setting import Setting, setting
from tests.bench.lab.sink import Sink
from tests.bench.lab.source import GeneratorFailed, send_one
from tests.bench.measure import Load, measure, send, wait_for_rest
from tests.bench.peer import Lab, NotProved, Peer
from tests.bench.peers.gatepost import Gatepost
from tests.bench.peers.postfix import Postfix
from tests.bench.peers.rspamd import Rspamd
from tests.bench.procfs import machine_words
from tests.bench.report import Case, Facts, Run, count_words, place, render

PEERS: dict[str, Callable[[Lab], Peer]] = {"postfix": Postfix, "rspamd": Rspamd, "gatepost": Gatepost}
SIZES = (4000, 50000)
DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
_NAME = "bench"
_WARM_UP_SHARE = 0.25


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    options = _options(arguments)
    if os.geteuid() != 0:
        print("bench: needs root: Postfix starts only as root", file=sys.stderr)
        return 1
    end_in_order()
    try:
        generated = _bench(options)
    except KeyboardInterrupt:
        print("bench: interrupted, all stopped", file=sys.stderr)
        return 130
    except (ChildFailed, GeneratorFailed, NotProved, ProcessGone, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{generated}\n")
    if options.write:
        DOCUMENT.write_text(place(DOCUMENT.read_text("utf-8"), generated, _NAME), "utf-8")
        print(f"bench: written to {DOCUMENT}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description="Measure Gatepost beside its peers.")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, nargs=2, default=(2000, 1000), metavar=("SMALL", "LARGE"))
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/performance.md alone")
    parser.add_argument("--keep-files", action="store_true", help="leave logs and queues in /var/tmp")
    return parser.parse_args(arguments)


def _bench(options: argparse.Namespace) -> str:
    counts = dict(zip(SIZES, options.messages, strict=True))
    cases = [Case(size, kept) for size in SIZES for kept in (False, True)]
    with setting(SIZES, keep_files=options.keep_files) as around, ExitStack() as undo:
        peers = [PEERS[name](around.lab) for name in options.peers]
        for peer in peers:
            undo.callback(peer.stop)
            _say(f"starting {peer.title}")
            peer.start()
        for peer in peers:
            _prove(peer, around)
        sink = Sink(around.lab.sink_port)
        undo.callback(sink.close)
        loads = [Load(0, case, counts[case.size_bytes], around.messages[case.size_bytes]) for case in cases]
        sent_before = _warm_up(peers, loads, sink, around)
        runs = list(_rounds(peers, loads, options.rounds, sink, around))
        sent = 1 + sent_before + options.rounds * sum(load.messages for load in loads)
        facts = Facts(
            date=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            machine=machine_words(),
            versions=dict(sorted({**around.versions(), **_versions(peers)}.items())),
            load=f"{options.rounds} alternating rounds; per round, peer and way of sending {count_words(counts)}",
            audits={peer.title: peer.audit(sent) for peer in peers},
        )
        return render(runs, facts)


def _versions(peers: Sequence[Peer]) -> dict[str, str]:
    return {name: version for peer in peers for name, version in peer.versions().items()}


def _prove(peer: Peer, around: Setting) -> None:
    """Send one clean message and one with EICAR, and look at what became of them."""
    kept_in = around.lab.folder / f"proof-{peer.title.replace(' ', '-')}"
    with closing(Sink(around.lab.sink_port, keep_in=kept_in)) as sink:
        code = send_one(peer.port, around.messages[SIZES[0]].read_bytes())
        if code != 250:
            raise NotProved(f"{peer.title}: a clean message was answered {code}")
        sink.wait_for(1, 60)
        peer.prove(sink.kept())
        if not peer.refuses_malware:
            _say(f"{peer.title}: relays")
            return
        code = send_one(peer.port, around.malware)
        if not 500 <= code <= 599:
            raise NotProved(f"{peer.title}: EICAR was answered {code}")
        _say(f"{peer.title}: SPF, DKIM, DMARC and the scan are proved, EICAR was answered {code}")


def _warm_up(peers: Sequence[Peer], loads: Sequence[Load], sink: Sink, around: Setting) -> int:
    """Fill caches and process pools; returns how many messages each peer was sent."""
    shares = [Load(0, load.case, max(1, int(load.messages * _WARM_UP_SHARE)), load.file) for load in loads]
    for peer in peers:
        _say(f"warming up {peer.title}")
        for share in shares:
            send(peer, share, sink)
        wait_for_rest({**peer.roles(), **around.roles()})
    return sum(share.messages for share in shares)


def _rounds(peers: Sequence[Peer], loads: Sequence[Load], rounds: int, sink: Sink, around: Setting) -> Iterator[Run]:
    for number in range(rounds):
        for load in loads:
            # Each round begins with another peer, so that none always follows the same one.
            start = number % len(peers)
            for peer in [*peers[start:], *peers[:start]]:
                run = measure(peer, Load(number, load.case, load.messages, load.file), sink, around.roles())
                _say(f"round {number + 1}, {load.case.title}, {peer.title}: {run.rate:.0f}/s, {run.cpu_ms:.2f} ms")
                yield run


def _say(words: str) -> None:
    print(f"bench: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
