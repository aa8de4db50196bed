"""From a day's evaluations of one domain to the rows of its report (PURE). Standards: RFC 9990 §3.1."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shared.dmarc_seen import DmarcSeen, Published

# RFC 9990 §2.6 wants reports of a size that can be mailed; what is beyond is counted in the last row's place.
MAX_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """How many messages had one and the same evaluation."""

    seen: DmarcSeen
    count: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A day's rows for one policy domain, the most frequent first. left_out: messages of rows beyond the limit."""

    published: Published
    rua: tuple[str, ...]
    organization: str
    rows: tuple[Row, ...]
    left_out: int = 0


def aggregate(evaluations: Iterable[tuple[DmarcSeen, int]], left_out: int = 0) -> list[Aggregate]:
    """Return an aggregate per published record: one that changed during the day makes two.

    evaluations: each with how many messages had it. left_out: messages with others, which the first aggregate tells.
    """
    by_record: dict[tuple[Published, tuple[str, ...], str], Counter[DmarcSeen]] = {}
    for seen, count in evaluations:
        record = (seen.published, seen.rua, seen.organization)
        by_record.setdefault(record, Counter())[seen] += count
    return [
        _of_record(*record, counted, 0 if place else left_out)
        for place, (record, counted) in enumerate(by_record.items())
    ]


def _of_record(
    published: Published, rua: tuple[str, ...], organization: str, counted: "Counter[DmarcSeen]", left_out: int
) -> Aggregate:
    rows = tuple(Row(seen, count) for seen, count in counted.most_common(MAX_ROWS))
    left_out += counted.total() - sum(row.count for row in rows)
    return Aggregate(published, rua, organization, rows, left_out)
