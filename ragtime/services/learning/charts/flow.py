"""The account of the training data as a flow: what came, what every stage kept, and what fell.

The same plan is drawn from left to right, with the sources, and upright for narrow screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragtime.services.learning.charts.svg import MINUS, counted, drawing, shown, tag, text_at
from ragtime.services.training_data_gen.ledger import GenerationMetrics, StageLedger
from ragtime.utils.templates import TrustedHTML

__all__ = ["Lane", "draw_flow", "lanes_of"]

_NODE = 7.0  # depth of a node
_LEAST = 1.5  # thickness of what is not nothing
_STYLES = 6
_READS = {
    "query_based": {"queries", "feedback", "documents"},
    "conversation_based": {"conversations", "documents"},
    "synthetic": {"documents"},
}
"""Sources by strategy; any other may read them all."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The way of one strategy's candidates.

    Attributes:
        strategy: The strategy.
        counts: Its candidates, and what each stage has left of them.
    """

    strategy: str
    counts: tuple[int, ...]


def lanes_of(metrics: GenerationMetrics) -> tuple[list[str], list[Lane]]:
    """Follow every strategy through the stages.

    Args:
        metrics: The account; it balances.

    Returns:
        The stages in their order, and the strategies: the last counts add up to the examples that were made.
    """
    stages = list(dict.fromkeys(one.stage for one in metrics.stages))
    lanes = []
    for strategy in dict.fromkeys(one.strategy for one in metrics.stages):
        own = {one.stage: one for one in metrics.stages if one.strategy == strategy}
        counts = [next(iter(own.values())).candidates]
        for stage in stages:
            counts.append(own[stage].kept if stage in own else counts[-1])
        lanes.append(Lane(strategy, tuple(counts)))
    return stages, lanes


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where things stand, in units along the flow and across it.

    Attributes:
        upright: Whether the flow goes down, not to the right.
        lanes: The lanes.
        first: Where the candidates stand, along the flow.
        step: From one stage to the next.
        start: Where the first lane begins, across the flow.
        extent: Thickness of all candidates together.
        least: Least room for a lane.
        gap: Room between lanes.
    """

    upright: bool
    lanes: Sequence[Lane]
    first: float
    step: float
    start: float
    extent: float
    least: float
    gap: float
    edges: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        edge = self.start
        for lane in self.lanes:
            self.edges.append(edge)
            edge += max(self.size(lane.counts[0]), self.least) + self.gap
        self.edges.append(edge)  # where what fell is gathered

    @property
    def stages(self) -> int:
        return len(self.lanes[0].counts) - 1

    @property
    def gathered(self) -> float:
        """Thickness of the largest heap of what fell."""
        heaps = (sum(self.size(lane.counts[i] - lane.counts[i + 1]) for lane in self.lanes) for i in range(self.stages))
        return max(heaps, default=0.0)

    def size(self, count: int) -> float:
        total = max(1, sum(lane.counts[0] for lane in self.lanes))
        return max(_LEAST, self.extent * count / total) if count else 0.0

    def along(self, stage: int) -> float:
        return self.first + self.step * stage

    def block(self, along: float, across: float, size: float, style: str) -> TrustedHTML:
        x, y, width, height = along, across, _NODE, size
        if self.upright:
            x, y, width, height = y, x, height, width
        return tag("rect", class_=f"node {style}", x=x, y=y, width=width, height=height)

    def ribbon(self, stage: int, across: float, to: float, size: float, style: str) -> TrustedHTML:
        """Draw a band from a stage to the next."""
        begin, end = self.along(stage) + _NODE, self.along(stage + 1)
        middle = (begin + end) / 2
        path = f"M{self._point(begin, across)}C{self._curve(middle, across, to, end)}L{self._point(end, to + size)}"
        path += f"C{self._curve(middle, to + size, across + size, begin)}Z"
        return tag("path", class_=f"ribbon {style}", d=path)

    def _curve(self, middle: float, across: float, to: float, end: float) -> str:
        return " ".join((self._point(middle, across), self._point(middle, to), self._point(end, to)))

    def _point(self, along: float, across: float) -> str:
        return f"{across:.1f},{along:.1f}" if self.upright else f"{along:.1f},{across:.1f}"


def draw_flow(key: str, metrics: GenerationMetrics, *, upright: bool = False) -> TrustedHTML | None:
    """Draw the account.

    Args:
        key: Begins the ids in it.
        metrics: The account.
        upright: Whether it is for a narrow screen: downwards, and without the sources.

    Returns:
        The drawing; ``None`` where no strategy had a candidate, so that there is nothing to draw.
    """
    stages, lanes = lanes_of(metrics)
    if not sum(lane.counts[0] for lane in lanes):
        return None
    draw = _draw_upright if upright else _draw_across
    size, parts = draw(stages, lanes, metrics.sources)
    kept = [sum(lane.counts[number] for lane in lanes) for number in range(len(stages) + 1)]
    told = "".join(f"; {stage} kept {counted(count)}" for stage, count in zip(stages, kept[1:], strict=True))
    by = ", ".join(f"{lane.strategy} {counted(lane.counts[0])}" for lane in lanes)
    return drawing(key, "From candidates to examples", f"{counted(kept[0])} candidates ({by}){told}.", size, *parts)


def _bands(plan: _Plan) -> list[TrustedHTML]:
    """Draw the lanes, and what falls out of them beneath."""
    fallen: list[TrustedHTML] = []
    kept: list[TrustedHTML] = []
    for stage in range(plan.stages):
        heap = plan.edges[-1]
        for number, lane in enumerate(plan.lanes):
            before, after = lane.counts[stage : stage + 2]
            edge, style = plan.edges[number], _style(number)
            if after:
                kept.append(plan.ribbon(stage, edge, edge, plan.size(after), style))
            if before > after:
                size = plan.size(before - after)
                fallen.append(plan.ribbon(stage, edge + plan.size(after), heap, size, "fallen"))
                fallen.append(plan.block(plan.along(stage + 1), heap, size, "fallen"))
                heap += size
    nodes = [
        plan.block(plan.along(stage), plan.edges[number], plan.size(count), _style(number))
        for number, lane in enumerate(plan.lanes)
        for stage, count in enumerate(lane.counts)
        if count
    ]
    return [*fallen, *kept, *nodes]


def _style(number: int) -> str:
    return f"lane-{number % _STYLES + 1}"


def _heads(stages: Sequence[str], lanes: Sequence[Lane]) -> list[tuple[str, int, int]]:
    """Return for the candidates and for each stage its name, what is left, and what fell."""
    sums = [sum(lane.counts[number] for lane in lanes) for number in range(len(stages) + 1)]
    return [
        (name.replace("_", " "), count, former - count)
        for name, count, former in zip(["candidates", *stages], sums, [sums[0], *sums], strict=False)
    ]


def _heap(plan: _Plan, stage: int) -> float:
    return sum(plan.size(lane.counts[stage - 1] - lane.counts[stage]) for lane in plan.lanes)


def _draw_across(
    stages: Sequence[str], lanes: Sequence[Lane], sources: Sequence[StageLedger]
) -> tuple[tuple[float, float], list[TrustedHTML]]:
    width, first = 960.0, 214.0 if sources else 8.0
    step = (width - 90 - first) / max(1, len(stages))
    plan = _Plan(False, lanes, first, step, start=72.0, extent=190.0, least=8.0, gap=32.0)  # noqa: FBT003 - a field
    parts = _sources(plan, sources) + _bands(plan)
    for number, (name, left, fell) in enumerate(_heads(stages, lanes)):
        x = plan.along(number) + _NODE / 2
        anchor = "middle" if number else "start"
        x -= 0 if number else _NODE / 2
        parts.append(text_at(x, 14, shown(name, 18), "label", anchor=anchor))
        parts.append(text_at(x, 31, counted(left), "tick", anchor=anchor))
        if fell:
            below = plan.edges[-1] + _heap(plan, number) + 16
            parts.append(text_at(x, below, f"{MINUS}{counted(fell)}", "label halo", anchor="middle"))
    for number, lane in enumerate(lanes):
        edge = plan.edges[number]
        parts.append(text_at(first, edge - 7, shown(lane.strategy.replace("_", " "), 40), "label halo"))
        end = plan.along(len(stages)) + _NODE + 8
        parts.append(text_at(end, edge + plan.size(lane.counts[-1]) / 2 + 5, counted(lane.counts[-1]), "value"))
    if plan.gathered:
        parts.append(text_at(first, plan.edges[-1] + 12, "rejected", "tick"))
    return (width, max(plan.edges[-1] + plan.gathered + 28, 72 + 54.0 * len(sources))), parts


def _sources(plan: _Plan, sources: Sequence[StageLedger]) -> list[TrustedHTML]:
    """Draw what was read, each joined to the strategies that read it: by lines, for records are no candidates."""
    lines: list[TrustedHTML] = []
    boxes: list[TrustedHTML] = []
    room = plan.edges[-1] - plan.gap - plan.start
    top = plan.start + max(0.0, (room - 54.0 * len(sources) + 12) / 2)
    for number, source in enumerate(sources):
        y = top + 54.0 * number
        for edge, lane in zip(plan.edges, plan.lanes, strict=False):
            if source.strategy in _READS.get(lane.strategy, {source.strategy}) and lane.counts[0]:
                to = edge + plan.size(lane.counts[0]) / 2
                path = f"M150,{y + 21:.1f}C182,{y + 21:.1f} 182,{to:.1f} {plan.first:.1f},{to:.1f}"
                lines.append(tag("path", class_="link", d=path))
        boxes.append(tag("rect", class_="source", x=0.5, y=y, width=149.5, height=42.0, rx=6.0))
        boxes.append(text_at(11, y + 18, shown(source.strategy, 18), "label"))
        read = f"{counted(source.kept)} records"
        if source.kept != source.candidates:
            read = f"{counted(source.kept)} of {counted(source.candidates)}"
        boxes.append(text_at(11, y + 34, read, "tick"))
    heading = [text_at(0, 14, "sources", "label"), text_at(0, 31, "records read", "tick")] if sources else []
    return [*lines, *boxes, *heading]


def _draw_upright(
    stages: Sequence[str], lanes: Sequence[Lane], _: Sequence[StageLedger]
) -> tuple[tuple[float, float], list[TrustedHTML]]:
    legend = 24.0 * len(lanes)
    plan = _Plan(True, lanes, legend + 22, 62.0, start=112.0, extent=110.0, least=3.0, gap=5.0)  # noqa: FBT003
    parts = _bands(plan)
    for number, lane in enumerate(lanes):
        y = 24.0 * number
        parts.append(tag("rect", class_=f"node {_style(number)}", x=0.0, y=y + 2, width=12.0, height=12.0))
        parts.append(text_at(20, y + 12.5, shown(lane.strategy.replace("_", " "), 24), "label"))
        counts = f"{counted(lane.counts[0])} → {counted(lane.counts[-1])}"
        parts.append(text_at(360, y + 12.5, counts, "tick", anchor="end"))
    for number, (name, left, fell) in enumerate(_heads(stages, lanes)):
        y = plan.along(number)
        parts.append(text_at(0, y + 4, shown(name, 14), "label"))
        parts.append(text_at(0, y + 20, counted(left), "tick"))
        if fell:
            parts.append(text_at(360, y + 22, f"{MINUS}{counted(fell)}", "label halo", anchor="end"))
    return (360.0, plan.along(len(stages)) + 32), parts
