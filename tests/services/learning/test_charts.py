"""The drawings of a report: within their frame, in proportion, and with numbers whatever the figures are."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.services.learning.charts import (
    Estimate,
    draw_estimates,
    draw_flow,
    draw_losses,
    draw_questions,
    draw_share,
    draw_validation,
    lanes_of,
)
from ragtime.services.learning.charts.svg import Scale, decimal, shown, signed, tag
from ragtime.services.learning.report import LossPoint, ValidationPoint
from ragtime.services.training_data_gen import GenerationMetrics
from ragtime.utils.templates import TrustedHTML
from tests.services.learning.reports import account, ledger

VALUES = st.floats(-1e6, 1e6)


def parsed(drawing: str | None) -> ET.Element:
    """Read a drawing, and check that all of it lies in its frame, at places that are numbers."""
    assert drawing is not None
    assert not re.search(r"\b(?:nan|inf)\b", drawing)
    root = ET.fromstring(drawing)  # noqa: S314 - our own
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in {"x", "x1", "x2", "cx"}:
                assert -1 <= float(value) <= width + 1, (element.tag, name, value)
            if name in {"y", "y1", "y2", "cy"}:
                assert -1 <= float(value) <= height + 1, (element.tag, name, value)
        if element.tag == "rect":
            assert float(element.get("x", "0")) + float(element.attrib["width"]) <= width + 1
            assert float(element.get("y", "0")) + float(element.attrib["height"]) <= height + 1
    return root


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter("text")]


def of(root: ET.Element, style: str) -> list[ET.Element]:
    return [element for element in root.iter() if set(style.split()) <= set(element.get("class", "").split())]


# --- marks and axes -------------------------------------------------------------------------------------------------


def test_texts_and_attributes_are_escaped_and_markup_of_our_own_is_not() -> None:
    inner = tag("title", '<b> & "c"')
    assert inner == "<title>&lt;b&gt; &amp; &#34;c&#34;</title>"
    assert isinstance(inner, TrustedHTML)
    written = tag("text", inner, "x", class_='a"b', text_anchor="end", x=1.25, y=-0.01, fill=None)
    assert written == f'<text class="a&#34;b" text-anchor="end" x="1.2" y="0">{inner}x</text>'


def test_what_cannot_be_printed_becomes_a_blank() -> None:
    assert shown("a\u202eb\x00c\n", 10) == "a b c "
    assert shown("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("value", "plain", "change"),
    [
        (0.35284, "0.353", "+0.353"),
        (-0.0412, "\u22120.041", "\u22120.041"),
        (-0.0001, "0.000", "0.000"),
        (0.0, "0.000", "0.000"),
    ],
)
def test_figures_have_three_digits(value: float, plain: str, change: str) -> None:
    assert (decimal(value), signed(value)) == (plain, change)


@given(values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5), most=st.integers(2, 8), whole=st.booleans())
def test_an_axis_has_few_ticks_and_all_are_on_it(values: list[float], most: int, whole: bool) -> None:
    scale = Scale.over(values, 10.0, 110.0)
    for value in values:
        assert 10 <= scale.at(value) <= 110
    ticks = scale.ticks(most, whole=whole)
    assert len(ticks) <= most + 2
    assert all(10 - 1e-6 <= place <= 110 + 1e-6 for place, _ in ticks)
    assert all(first < second for (first, _), (second, _) in pairwise(ticks))


def test_ticks_are_round() -> None:
    assert [label for _, label in Scale.over([0.31, 0.39], 0, 100).ticks(4)] == ["0.32", "0.34", "0.36", "0.38"]
    assert [label for _, label in Scale.over([0, 3], 0, 100, margin=0).ticks(6, whole=True)] == ["0", "1", "2", "3"]
    assert [label for _, label in Scale.over([0, 2400], 0, 100, margin=0).ticks(6)] == [
        "0", "500", "1\u202f000", "1\u202f500", "2\u202f000"
    ]  # fmt: skip
    assert [label for _, label in Scale.over([-0.01, 0.03], 0, 100, margin=0).ticks(4)] == [
        "\u22120.01", "0.00", "0.01", "0.02", "0.03"
    ]  # fmt: skip


# --- figures --------------------------------------------------------------------------------------------------------


def test_an_interval_goes_from_its_lower_to_its_upper_end_round_the_mark() -> None:
    rows = [Estimate("Base", "base", 0.35, 0.33, 0.37), Estimate("Tuned", "tuned", 0.39, 0.37, 0.41)]
    root = parsed(draw_estimates("k", "nDCG@10", rows))
    for row, bar, mark in zip(rows, of(root, "interval"), of(root, "mark"), strict=True):
        assert row.low is not None
        assert float(bar.attrib["x1"]) < float(mark.attrib["cx"]) < float(bar.attrib["x2"])
    assert [root[0].get("id"), root[1].get("id")] == ["k-title", "k-desc"]
    assert root[1].text == "Base 0.350, interval 0.330 to 0.370; Tuned 0.390, interval 0.370 to 0.410."


def test_marks_differ_in_form_not_only_in_colour() -> None:
    rows = [Estimate(style, style, 0.3) for style in ("base", "in-use", "tuned", "change")]
    marks = of(parsed(draw_estimates("k", "t", rows)), "mark")
    assert [mark.tag for mark in marks] == ["circle", "rect", "circle", "path"]
    assert marks[0].get("r") != marks[2].get("r")


def test_differences_stand_beside_a_line_at_nothing() -> None:
    root = parsed(draw_estimates("k", "t", [Estimate("Held-out", "change", 0.03, 0.01, 0.05)], change=True))
    (zero,) = of(root, "zero")
    (bar,) = of(root, "interval")
    assert float(zero.attrib["x1"]) < float(bar.attrib["x1"])
    assert {"+0.030", "+0.010 to +0.050"} <= set(texts(root))


@given(rows=st.lists(st.tuples(VALUES, VALUES, VALUES).map(sorted), min_size=1, max_size=3), change=st.booleans())
def test_any_figures_can_be_drawn(rows: list[list[float]], change: bool) -> None:
    estimates = [Estimate("x", "tuned", middle, low, high) for low, middle, high in rows]
    parsed(draw_estimates("k", "t", estimates, change=change))


@pytest.mark.parametrize(("won", "tied", "lost"), [(10, 30, 20), (0, 0, 5), (1, 10_000, 0), (0, 0, 0)])
def test_questions_take_room_by_their_number(won: int, tied: int, lost: int) -> None:
    root = parsed(draw_questions("k", won=won, tied=tied, lost=lost))
    drawn = {element.attrib["class"].split()[1]: float(element.attrib["width"]) for element in of(root, "part")}
    assert set(drawn) == {name for name, count in (("won", won), ("tied", tied), ("lost", lost)) if count}
    if won and lost:
        assert (drawn["lost"] + 1) / (drawn["won"] + 1) == pytest.approx(lost / won, abs=0.01)


def test_a_share_is_within_its_bar() -> None:
    for share, width in ((0.25, "25"), (7.0, "100"), (-1.0, "0")):
        assert f'width="{width}"' in draw_share(share)


# --- curves ---------------------------------------------------------------------------------------------------------


def losses(values: list[float]) -> list[LossPoint]:
    return [LossPoint(step=step, loss=loss, learning_rate=0.1) for step, loss in enumerate(values, start=1)]


def points_of(line: ET.Element) -> list[tuple[float, ...]]:
    return [tuple(float(part) for part in pair.split(",")) for pair in line.attrib["points"].split()]


@settings(max_examples=50)
@given(values=st.lists(VALUES, min_size=1, max_size=80))
def test_any_losses_can_be_drawn(values: list[float]) -> None:
    for line in of(parsed(draw_losses("k", losses(values))), "line"):
        for x, y in points_of(line):
            assert 0 <= x <= 440
            assert 0 <= y <= 230


def test_a_long_run_is_drawn_with_few_points_up_to_its_last_step() -> None:
    root = parsed(draw_losses("k", losses([1 / step for step in range(1, 10_001)])))
    for line in of(root, "line"):
        assert len(points_of(line)) <= 252
        assert points_of(line)[-1][0] == 430
    assert root[1].text is not None
    assert "10\u202f000 steps" in root[1].text
    assert "mean of 500 steps" in root[1].text


def test_the_validation_curve_marks_the_base_model_and_the_step_that_was_kept() -> None:
    course = [ValidationPoint(step=step, value=value) for step, value in ((0, 0.35), (20, 0.39), (40, 0.38))]
    root = parsed(draw_validation("k", "nDCG@10", course, 20))
    assert root[1].text == "the base model has 0.350; step 20 was kept with 0.390."
    assert len(of(root, "reference")) == len(of(root, "ring")) == 1
    assert {"base 0.350", "kept: step 20, 0.390"} <= set(texts(root))
    without = parsed(draw_validation("k", "nDCG@10", course[1:], 30))
    assert of(without, "reference") == of(without, "ring") == []


@pytest.mark.parametrize("best", [0, 5, 10])
def test_labels_stay_in_the_frame(best: int) -> None:
    course = [ValidationPoint(step=step, value=1 - abs(step - best)) for step in range(11)]
    label = next(one for one in parsed(draw_validation("k", "m", course, best)).iter("text") if "kept" in str(one.text))
    assert label.get("text-anchor") == {0: "start", 5: "middle", 10: "end"}[best]
    assert float(label.attrib["y"]) > 12


# --- the flow -------------------------------------------------------------------------------------------------------


@st.composite
def accounts(draw: st.DrawFn) -> GenerationMetrics:
    strategies = [f"strategy_{number}" for number in range(draw(st.integers(1, 7)))]
    left = {name: draw(st.integers(0, 100_000)) for name in strategies}
    stages: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 6))):
        of_stage = {}
        for name in strategies:
            fell = draw(st.integers(0, left[name]))
            left[name] -= fell
            of_stage[name] = (left[name], {"reason": fell} if fell else {})
        stages[f"stage_{number}"] = of_stage
    return account(stages, [ledger("read", "documents", draw(st.integers(0, 9)), {})])


@settings(max_examples=50)
@given(metrics=accounts(), upright=st.booleans())
def test_any_account_can_be_drawn_and_adds_up(metrics: GenerationMetrics, upright: bool) -> None:
    stages, lanes = lanes_of(metrics)
    assert sum(lane.counts[0] for lane in lanes) == metrics.candidates
    assert sum(lane.counts[-1] for lane in lanes) == metrics.produced
    assert all(first >= second for lane in lanes for first, second in pairwise(lane.counts))
    assert all(len(lane.counts) == len(stages) + 1 for lane in lanes)
    drawing = draw_flow("k", metrics, upright=upright)
    assert (drawing is None) == (metrics.candidates == 0)
    if drawing is not None:
        parsed(drawing)


SIMPLE = account(
    {
        "make": {"query_based": (600, {"a": 400}), "synthetic": (500, {"b": 500})},
        "choose": {"query_based": (300, {"c": 300}), "synthetic": (500, {})},
    },
    [ledger("read", "documents", 90, {"empty": 10}), ledger("read", "feedback", 50, {})],
)


@pytest.mark.parametrize("upright", [False, True])
def test_bands_are_as_thick_as_there_are_candidates(upright: bool) -> None:
    root = parsed(draw_flow("k", SIMPLE, upright=upright))
    side = "width" if upright else "height"
    nodes = [float(one.attrib[side]) for one in of(root, "node lane-1") if float(one.attrib[side]) != 12]
    assert [node / nodes[0] for node in nodes] == pytest.approx([1, 0.6, 0.3], abs=0.01)
    fallen = [float(one.attrib[side]) for one in of(root, "node fallen")]
    assert [node / nodes[0] for node in fallen] == pytest.approx([0.4, 0.5, 0.3], abs=0.01)
    shown_texts = texts(root)
    assert {"2\u202f000", "1\u202f100", "800", "\u2212900", "\u2212300"} <= set(shown_texts)
    assert len(of(root, "ribbon")) == 7  # four kept, three fell


def test_sources_are_joined_to_the_strategies_that_read_them() -> None:
    root = parsed(draw_flow("k", SIMPLE))
    assert {"documents", "90 of 100", "feedback", "50 records"} <= set(texts(root))
    assert len(of(root, "link")) == 3  # documents to both, feedback to query_based
    assert of(parsed(draw_flow("k", SIMPLE, upright=True)), "link") == []


def test_a_strategy_that_a_stage_does_not_tell_of_goes_on_as_it_was() -> None:
    metrics = GenerationMetrics(
        produced=7,
        stages=(ledger("make", "a", 5, {"x": 1}), ledger("quality", "a", 4, {"x": 1}), ledger("quality", "b", 3, {})),
    )
    _, lanes = lanes_of(metrics)
    assert [lane.counts for lane in lanes] == [(6, 5, 4), (3, 3, 3)]


def test_without_candidates_there_is_nothing_to_draw() -> None:
    assert draw_flow("k", GenerationMetrics()) is None
    assert draw_flow("k", account({"make": {"synthetic": (0, {})}})) is None
