"""Figures of labelled pairs, against counting and against the packages that are known for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.evaluation import correlation_figures, rating_figures

RATED = st.lists(
    st.tuples(st.booleans(), st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0])), min_size=2, max_size=12
).filter(lambda pairs: 0 < sum(good for good, _ in pairs) < len(pairs))
LABELS = st.lists(st.sampled_from([0.0, 0.2, 0.6, 1.0]), min_size=2, max_size=12).filter(
    lambda some: len(set(some)) > 1
)


@given(RATED)
@settings(max_examples=100)
def test_auc_is_the_chance_that_a_good_pair_is_more_similar(pairs: list[tuple[bool, float]]) -> None:
    good, bad = ([value for kind, value in pairs if kind is wanted] for wanted in (True, False))
    wins = sum((one > other) + (one == other) / 2 for one in good for other in bad)
    figures = rating_figures(*zip(*pairs, strict=True))
    assert figures["auc"] == pytest.approx(wins / (len(good) * len(bad)))


@given(RATED)
@settings(max_examples=50)
def test_both_figures_are_those_of_sklearn(pairs: list[tuple[bool, float]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    good, values = zip(*pairs, strict=True)
    figures = rating_figures(good, values)
    assert figures["auc"] == pytest.approx(metrics.roc_auc_score(good, values))
    assert figures["average_precision"] == pytest.approx(metrics.average_precision_score(good, values))


@pytest.mark.parametrize("good", [[], [True, True], [False]])
def test_one_class_has_no_figures(good: list[bool]) -> None:
    with pytest.raises(InvalidArgumentError, match="good and bad"):
        rating_figures(good, [0.5] * len(good))


@given(LABELS, st.data())
@settings(max_examples=50)
def test_correlations_are_those_of_their_definitions(labels: list[float], data: st.DataObject) -> None:
    pytest.importorskip("scipy")
    values = data.draw(st.permutations(np.linspace(-1, 1, len(labels)).tolist()))
    figures = correlation_figures(labels, values)

    def ranks(some: list[float]) -> list[float]:
        return [sum(other < one for other in some) + sum(other == one for other in some) / 2 for one in some]

    assert figures["pearson"] == pytest.approx(np.corrcoef(labels, values)[0, 1])
    assert figures["spearman"] == pytest.approx(np.corrcoef(ranks(labels), ranks(values))[0, 1])


def test_equal_similarities_show_nothing() -> None:
    pytest.importorskip("scipy")
    assert correlation_figures([0, 0.5, 1], [0.3, 0.3, 0.3]) == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize("labels", [[], [0.4], [0.4, 0.4]])
def test_equal_labels_have_no_correlation(labels: list[float]) -> None:
    with pytest.raises(InvalidArgumentError, match="labelled alike"):
        correlation_figures(labels, labels)
