"""The gate: what it lets pass, what it says, and how often it errs."""

from __future__ import annotations

import doctest
import importlib
import math
from typing import Any

import numpy as np
import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.comparison import Comparison, Decision, Gate, compare
from tests.services.model_finetuner.comparison.scores import equal_models, result

pytest.importorskip("scipy")


def shifted(by: float, questions: int = 200, *, spread: float = 0.1, **fields: Any) -> Comparison:
    """Two models of which the tuned one is better by a mean difference, exactly."""
    random = np.random.default_rng(questions)
    noise = random.normal(0, spread, questions)
    base = random.random(questions)
    return compare(result(base, **fields), result(base + noise - noise.mean() + by, "tuned", **fields), resamples=2_000)


def general(by: float, questions: int = 200, *, spread: float = 0.1) -> Comparison:
    return shifted(by, questions, spread=spread, data_name="sample", data_fingerprint="g1")


def test_a_better_model_that_forgets_nothing_is_promoted() -> None:
    found = Gate().decide(shifted(0.05), general(0.001))
    assert found.promote
    assert len(found.reasons) == 2
    assert "ndcg@10 on handbook went from" in found.reasons[0]
    assert found.reasons[0].endswith("200 questions): better at the 5 % level.")
    assert found.reasons[1].startswith("General check: ndcg@10 on sample")
    assert found.reasons[1].endswith("no significant fall, and none of more than 0.0200.")
    assert (found.questions_needed, found.questions_missing) == (None, None)
    assert Decision.model_validate_json(found.model_dump_json()) == found


def test_a_rise_that_may_be_chance_is_not_enough_and_the_missing_questions_are_counted() -> None:
    target = shifted(0.005, 100)
    found = Gate().decide(target)
    needed = target.questions_needed(0.005)
    assert not found.promote
    assert found.questions_needed == pytest.approx(needed, abs=1)
    assert found.questions_missing == found.questions_needed - 100
    assert (
        f"takes about {found.questions_needed:,} questions: {found.questions_missing:,} are missing"
        in (found.reasons[0])
    )
    enough = shifted(0.005, found.questions_needed)
    assert Gate().decide(enough).promote


def test_a_worse_model_is_not_promoted_however_sure_that_is() -> None:
    found = Gate().decide(shifted(-0.05))
    assert not found.promote
    assert "not better. A true rise of 0.0" in found.reasons[0]
    assert found.questions_needed is None


def test_equal_models_are_not_promoted() -> None:
    same = compare(result([0.1, 0.5, 0.7]), result([0.1, 0.5, 0.7], "tuned"))
    found = Gate().decide(same, same)
    assert not found.promote
    assert "equally good at every question" in found.reasons[0]
    assert found.cautions == ("The general check has 3 questions, too few for any fall to be significant.",)


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_too_few_questions_show_nothing(spread: float) -> None:
    found = Gate().decide(shifted(0.2, 4, spread=spread))
    assert not found.promote
    assert "differ at 4 questions, and fewer than 5 show nothing at the 5 % level" in found.reasons[0]
    assert found.questions_needed is not None
    assert found.questions_needed >= 5


def test_one_model_twice_is_told() -> None:
    scores = [0.1, 0.5, 0.9]
    found = Gate().decide(compare(result(scores), result(scores)))
    assert not found.promote
    assert found.reasons[0].endswith("both are the same model.")
    assert found.questions_missing is None


def test_a_decision_reads_as_a_paragraph() -> None:
    found = Gate().decide(shifted(0.05), general(0.001))
    assert found.sentence == " ".join(["Promote the tuned model.", *found.reasons, *found.cautions])
    kept = Gate().decide(shifted(0.005, 100))
    assert kept.sentence.startswith("Keep the base model. ndcg@10 on handbook went from")
    assert "are missing." in kept.sentence
    assert kept.sentence.endswith("No general check was made: what the model has forgotten is not known.")


def test_a_significant_general_fall_is_refused_even_if_small() -> None:
    found = Gate().decide(shifted(0.05), general(-0.015))
    assert not found.promote
    assert found.reasons[1].endswith(": a fall that is significant at the 5 % level.")


def test_a_large_general_fall_is_refused_even_if_it_may_be_chance() -> None:
    check = general(-0.03, 20, spread=0.4)
    found = Gate().decide(shifted(0.05), check)
    assert check.p_worse > 0.05
    assert not found.promote
    assert found.reasons[1].endswith(": a fall of more than 0.0200.")
    both = Gate().decide(shifted(0.05), general(-0.1)).reasons[1]
    assert both.endswith(": a fall that is significant at the 5 % level, and a fall of more than 0.0200.")


def test_a_fall_of_just_the_limit_is_allowed() -> None:
    check = general(-0.02, 50, spread=0.4)
    assert Gate(most_general_fall=0.02).decide(shifted(0.05), check).promote
    assert not Gate(most_general_fall=0.0199).decide(shifted(0.05), check).promote


def test_what_was_not_looked_at_is_told() -> None:
    assert Gate().decide(shifted(0.05)).cautions == (
        "No general check was made: what the model has forgotten is not known.",
    )
    check = general(0.001, 30, spread=0.3)
    (told,) = Gate().decide(shifted(0.05), check).cautions
    seen = check.smallest_visible_effect
    assert told == f"The general check has 30 questions: a true fall of less than {seen:.4f} may well go unseen."
    assert Gate().decide(shifted(0.05), general(0.001, 2_000)).cautions == ()


def test_the_level_is_that_of_the_gate() -> None:
    target = shifted(0.014, 200)
    assert 0.005 < target.p_better < 0.05
    assert Gate().decide(target).promote
    strict = Gate(alpha=0.005, power=0.9).decide(target)
    assert not strict.promote
    assert (strict.alpha, strict.power) == (0.005, 0.9)
    assert "at the 0.5 % level. To see such a rise 90 % of the time" in strict.reasons[0]
    assert strict.questions_needed == target.questions_needed(target.difference, alpha=0.005, power=0.9)


def test_a_decision_keeps_no_questions() -> None:
    found = Gate().decide(shifted(0.05), general(0.0))
    assert "q00001" not in found.model_dump_json()
    assert found.target == shifted(0.05).summary()


@pytest.mark.parametrize("name", ["comparison", "comparison.gate"])
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"ragtime.services.model_finetuner.{name}"))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_a_general_check_of_other_models_is_refused() -> None:
    other = compare(result([0.1, 0.5]), result([0.1, 0.5], "another"))
    with pytest.raises(InvalidArgumentError, match="base and another instead of base and tuned"):
        Gate().decide(shifted(0.05), other)


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0.0},
        {"alpha": 0.5},
        {"alpha": math.nan},
        {"power": 0.05},
        {"power": 1.0},
        {"most_general_fall": -0.01},
        {"most_general_fall": math.inf},
    ],
)
def test_wrong_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        Gate(**options)


def passing(runs: int, questions: int, *, better_by: float = 0.0, resamples: int = 999) -> float:
    """Share of simulated pairs of models that pass the first condition."""
    random = np.random.default_rng(2026)
    passed = 0
    for _ in range(runs):
        base, tuned = equal_models(random, questions)
        found = compare(result(base), result(tuned + better_by, "tuned"), resamples=resamples)
        passed += Gate().decide(found).promote
    return passed / runs


def test_few_equal_models_pass() -> None:
    assert passing(300, 100) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_few_equal_models_pass_when_questions_are_few() -> None:
    assert passing(300, 12, resamples=199) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_better_models_pass() -> None:
    assert passing(100, 200, better_by=0.1) > 0.95


@pytest.mark.slow
def test_one_of_twenty_equal_models_passes() -> None:
    """2,000 pairs of equal models: 5 % pass, give or take 1.5 points."""
    assert 0.035 <= passing(2_000, 150, resamples=10_000) <= 0.065


@pytest.mark.slow
def test_four_of_five_pass_whose_rise_is_the_smallest_visible_one() -> None:
    random = np.random.default_rng(7)
    base, tuned = equal_models(random, 20_000)
    spread = float(np.std(tuned - base, ddof=1))
    rise = (1.6449 + 0.8416) * spread / math.sqrt(150)
    assert 0.76 <= passing(1_000, 150, better_by=rise) <= 0.84
