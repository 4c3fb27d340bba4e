"""Figures in the metrics of a version."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.storage.registry import Figure, figures_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def test_numbers_are_figures_and_groups_stand_in_front() -> None:
    metrics = {
        "ndcg@10": 0.5,
        "held-out": {"questions": 200, "mrr@10": {"value": 0.25, "interval": [0.2, 0.3]}, "seed": {"deep": {"er": 7}}},
        "note": "none",
        "ok": True,
        "list": [1, 2],
    }
    assert figures_of(metrics) == {
        "ndcg@10": Figure(0.5),
        "held-out questions": Figure(200),
        "held-out mrr@10": Figure(0.25, (0.2, 0.3)),
        "held-out seed deep er": Figure(7),
    }


def test_an_interval_that_is_none_is_left_out() -> None:
    for interval in (None, [0.1], ["a", "b"], {"low": 1}, [True, False]):
        assert figures_of({"a": {"value": 0.5, "interval": interval}}) == {"a": Figure(0.5)}  # type: ignore[dict-item]


def test_how_figures_are_shown() -> None:
    figures = [Figure(0.5), Figure(1.0), Figure(1200), Figure(0.5, (0.4, 0.6))]
    assert [str(figure) for figure in figures] == ["0.5000", "1.0000", "1,200", "0.5000 [0.4000, 0.6000]"]


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
@settings(max_examples=60)
def test_any_json_is_read(metrics: dict[str, object]) -> None:
    for name, figure in figures_of(metrics).items():  # type: ignore[arg-type]
        assert isinstance(name, str)
        assert str(figure)
