"""Where things stand in the pictures."""

import itertools

import pytest

from services.console.pulse.facts import Outcomes, Rates, Readiness
from services.console.web.drawing import pipeline
from services.console.web.drawing.bars import Group, bars, nice, rows, short, totals
from services.console.web.drawing.shapes import Arrow, Box, Level, Picture
from shared.broker.topology import Queue
from tests.unit.services.console.pulse.gateway import depth, well

STATUS = well(rates=Rates(received=42, judged=41, delivered=40), held=3, poison=1)
PICTURES = [pipeline.wide(STATUS), pipeline.tall(STATUS)]


def overlap(one: Box, other: Box) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


@pytest.mark.parametrize("picture", PICTURES)
def test_no_box_lies_on_another_or_leaves_the_picture(picture: Picture) -> None:
    for one, other in itertools.combinations(picture.boxes, 2):
        assert not overlap(one, other), (one.title, other.title)
    for box in picture.boxes:
        assert min(box.x, box.y) >= 0, box
        assert (box.right <= picture.width, box.bottom <= picture.height) == (True, True), box


@pytest.mark.parametrize("picture", PICTURES)
def test_every_arrow_runs_straight_between_the_sides_of_two_boxes(picture: Picture) -> None:
    for arrow in picture.arrows:
        for (x0, y0), (x1, y1) in itertools.pairwise(arrow.points):
            assert (x0 == x1) != (y0 == y1), arrow
        for end in (arrow.points[0], arrow.points[-1]):
            assert any(touches(box, end) for box in picture.boxes), (arrow, end)


def touches(box: Box, point: tuple[int, int]) -> bool:
    x, y = point
    on_side = x in (box.x, box.right) and box.y <= y <= box.bottom
    return on_side or (y in (box.y, box.bottom) and box.x <= x <= box.right)


@pytest.mark.parametrize("picture", PICTURES)
def test_no_line_is_wider_than_its_box(picture: Picture) -> None:
    for box in picture.boxes:
        # A character of 12.5 units is 7 wide, one of the title 8.5.
        assert len(box.title) * 8.5 <= box.width, box
        assert all(len(line) * 7 <= box.width for line in box.lines), box


def test_both_pictures_say_the_same() -> None:
    wide, tall = ({(box.title, box.lines, box.level) for box in picture.boxes} for picture in PICTURES)
    assert wide == tall


def test_a_stage_that_is_not_ready_and_a_queue_that_nobody_takes_from_stand_out_in_words_and_level() -> None:
    spoilt = well(
        services=(Readiness("content", "u", ready=False, said="x"),), queues=(depth(Queue.CONTENT.value, 9, consumers=0),)
    )  # fmt: skip
    words = pipeline.pipeline_words(spoilt)
    assert words["content"][1:3] == (Level.BAD, "content")
    assert words["content"][3][0] == "NOT READY"
    assert words["to content"][1:] == (Level.WARN, "content", ("9 waiting",))
    assert words["edge"][3][0] == "not known"
    assert words["to delivery"][3] == ("not known",)


def test_the_head_of_an_arrow_points_where_it_goes() -> None:
    assert Arrow(((0, 0), (20, 0))).head == "20,0 12,4 12,-4"
    assert Arrow(((0, 0), (0, 20))).head == "0,20 4,12 -4,12"


DAY = Outcomes(0.0, 1800.0, ({"delivered": 3, "split": 9, "refused": 1}, {"retrying": 2, "queued": 1}, {}, {"what": 1}))


def test_what_was_split_and_what_nobody_knows_is_not_counted() -> None:
    found = rows(DAY)
    assert totals(found) == dict.fromkeys(Group, 0) | {Group.DELIVERED: 3, Group.REFUSED: 1, Group.UNDER_WAY: 3}
    assert [row.at for row in rows(DAY, merged=2)] == [0.0, 3600.0]
    assert rows(DAY, merged=2)[0].counts[Group.UNDER_WAY] == 3


def test_the_pieces_of_a_bar_stand_on_each_other_within_the_field() -> None:
    plot = bars(rows(DAY), 1800.0, 400, 200, 1)
    assert len(plot.bars) == 4
    first = plot.bars[0]
    assert [piece.group for piece in first.pieces] == [Group.DELIVERED, Group.REFUSED]
    assert first.pieces[0].y + first.pieces[0].height == pytest.approx(plot.bottom)
    assert first.pieces[1].y + first.pieces[1].height == pytest.approx(first.pieces[0].y)
    assert first.pieces[1].y == pytest.approx(plot.top)
    assert first.said == "00:00-00:30: 3 delivered, 1 refused"
    assert plot.bars[2].said == "01:00-01:30: no mail"
    assert [tick.label for tick in plot.ticks] == ["0", "2", "4"]
    assert [time.label for time in plot.times] == ["00:00", "01:00"]


def test_a_day_without_mail_is_a_plot_too() -> None:
    plot = bars(rows(Outcomes(0.0, 1800.0, ({},) * 48)), 1800.0, 400, 200, 6)
    assert all(not bar.pieces for bar in plot.bars)
    assert bars([], 1800.0, 400, 200, 6).bars == ()


@pytest.mark.parametrize(("most", "round_"), [(0, 4), (4, 4), (5, 8), (9, 12), (13, 20), (21, 40), (130, 200), (7_900, 8_000)])  # fmt: skip
def test_the_side_of_a_plot_ends_at_a_round_number(most: int, round_: int) -> None:
    assert nice(most) == round_
    assert short(2_000) == "2000"
    assert short(20_000) == "20k"
