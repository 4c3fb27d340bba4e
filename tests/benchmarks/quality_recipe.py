"""Our recipe: what a model is trained on besides the judged questions, and how; all by the public interface.

A page can be asked for by what stands on it, so that pages count that nobody has asked about. What is made of the
judged questions themselves, such as variations and negatives, is there to be tried.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.services.model_finetuner.comparison import interpolate_weights
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample
from ragtime.utils.hashing import keyed_order, keyed_random
from tests.benchmarks.quality_data import SEED, page_of
from tests.benchmarks.quality_lines import IN_PLACE, TAKEN_OUT, lines_of, without_line

Method = Literal["line", "line in place", "cloze", "crop", "heading", "question", "keywords"]
Negatives = Literal["none", "words", "vectors"]
_LINES = (TAKEN_OUT, IN_PLACE)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is done.

    Attributes:
        config: Of the training; seed and folder are filled in.
        judged_weight: How much a judged pair counts, beside 1 of all others.
        judged_copies: Further pairs of each judged question, each with another line of its page left out.
        made: How many questions are made of pages, by method; the first of each page come first.
        checked: Whether made questions go through all checks of the generator.
        variations: How many variations of judged questions are made.
        negatives: What mines negatives for the judged questions: nothing, words (BM25) or the untuned model.
        negatives_each: How many of them each question gets, at most 5, the hardest first.
        held_out: Judged questions that are validated on, not trained on; the line between base and tuned weights is
            searched with them where the general check falls. With none, ``config.validation_split`` decides.
        base_share: Share of the untuned weights in the final ones, whatever a check says.
    """

    config: FineTuningConfig = field(default_factory=FineTuningConfig)
    judged_weight: float = 1.0
    judged_copies: int = 0
    made: tuple[tuple[Method, int], ...] = ()
    checked: bool = False
    variations: int = 0
    negatives: Negatives = "none"
    negatives_each: int = 1
    held_out: int = 0
    base_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse methods that there are not: a typo would cost a run."""
        unknown = {method for method, _ in self.made} - {*get_args(Method)}
        if unknown:
            raise ValueError(
                f"There is no method {', '.join(sorted(unknown))}; there are {', '.join(get_args(Method))}"
            )

    def with_config(self, **fields: Any) -> Self:
        """Return the same with other fields of the config."""
        return replace(self, config=FineTuningConfig(**{**_given(self.config), **fields}))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; of the config what was given."""
        fields = {name: value for name, value in asdict(self).items() if name != "config"}
        return {**fields, "config": self.config.model_dump(mode="json", exclude_unset=True)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        made = tuple((method, count) for method, count in told["made"])
        return cls(**{**told, "made": made, "config": FineTuningConfig(**told["config"])})


def _given(config: FineTuningConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.model_fields_set}


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What came out.

    Attributes:
        encoder: The tuned model, as it is loaded for use.
        metrics: What the training says of itself.
        seconds: From loaded data to final weights; by part: ``making`` the data, and ``training`` with validation and
            interpolation; and ``all``.
        rows: How many rows were trained on, by where they come from.
    """

    encoder: SentenceTransformerEncoder
    metrics: FineTuningMetrics
    seconds: Mapping[str, float]
    rows: Mapping[str, int]


def tune(
    recipe: Recipe,
    judged: Sequence[TrainingExample],
    pages: Sequence[Document],
    settings: Settings,
    *,
    general: RetrievalSet | None = None,
) -> Tuned:
    """Tune the untuned model by a recipe.

    Args:
        recipe: The recipe.
        judged: The judged pairs.
        pages: All pages that will be searched.
        settings: Name the model, and a folder to write to.
        general: Questions of the general check; ``None`` means those of the packaged sample.

    Returns:
        What came out.
    """
    begin = time.perf_counter()
    training, held_out = hold_out(judged, recipe.held_out)
    made = examples_of(recipe, training, pages, settings)
    prepared = time.perf_counter()
    fields = {**_given(recipe.config), "random_seed": SEED, "output_dir": Path(settings.data_dir) / "models"}
    tuner = ModelFineTuner(FineTuningConfig(**fields), settings=settings, general_data=general)
    metrics = tuner.train([one for some in made.values() for one in some], held_out or None)
    encoder = ModelFineTuner.load(metrics.model_path, settings=settings)
    if recipe.base_share:
        _average(encoder, SentenceTransformerEncoder(settings), recipe.base_share)
    end = time.perf_counter()
    return Tuned(
        encoder=encoder,
        metrics=metrics,
        seconds={"making": prepared - begin, "training": end - prepared, "all": end - begin},
        rows={name: len(some) for name, some in made.items()},
    )


def _average(tuned: SentenceTransformerEncoder, base: SentenceTransformerEncoder, base_share: float) -> None:
    weights = interpolate_weights(base.model.state_dict(), tuned.model.state_dict(), 1 - base_share)
    tuned.model.load_state_dict(weights)


# --- what is trained on ---------------------------------------------------------------------------------------------


def hold_out(judged: Sequence[TrainingExample], count: int) -> tuple[list[TrainingExample], list[TrainingExample]]:
    """Set judged pairs aside, with all others about their pages.

    Args:
        judged: The pairs.
        count: How many at least; 0 sets none aside.

    Returns:
        Those to train on, and those that are held out.
    """
    aside: set[str] = set()
    for page in keyed_order({page_of(one) for one in judged}, SEED, "held out", key=str):
        if sum(page_of(one) in aside for one in judged) >= count:
            break
        aside.add(page)
    return [one for one in judged if page_of(one) not in aside], [one for one in judged if page_of(one) in aside]


def examples_of(
    recipe: Recipe, judged: Sequence[TrainingExample], pages: Sequence[Document], settings: Settings
) -> dict[str, list[TrainingExample]]:
    """Make all that a recipe trains on.

    Args:
        recipe: The recipe.
        judged: The judged pairs.
        pages: The pages.
        settings: The settings.

    Returns:
        The examples, by where they come from.
    """
    by_id = {page.id: page for page in pages}
    made = {"judged": [_changed(one, weight=recipe.judged_weight) for one in judged]}
    if recipe.judged_copies:
        made["copies"] = [copy for one in made["judged"] for copy in _copies(one, by_id, recipe.judged_copies)]
    if recipe.variations:
        varied = TrainingDataGenerator(settings, documents=pages).augment(judged)
        made["variations"] = keyed_order(varied, SEED, "variations", key=lambda one: one.id)[: recipe.variations]
    for method, count in recipe.made:
        made[method] = page_questions(pages, method, count, settings, checked=recipe.checked)
    if recipe.negatives != "none":
        encoder = SentenceTransformerEncoder(settings) if recipe.negatives == "vectors" else None
        generator = TrainingDataGenerator(settings, documents=pages, encoder=encoder)
        made["judged"] = with_negatives(made["judged"], generator.add_negatives(judged), recipe.negatives_each)
    return made


def _changed(example: TrainingExample, **fields: Any) -> TrainingExample:
    return TrainingExample(**{**{name: getattr(example, name) for name in TrainingExample.model_fields}, **fields})


def _copies(example: TrainingExample, pages: Mapping[str, Document], count: int) -> list[TrainingExample]:
    page = pages[page_of(example)]
    lines = lines_of(page.text)
    chosen = keyed_random(SEED, "copies", example.id).sample(lines, min(count, len(lines)))
    return [_changed(example, response=without_line(page, line.place)) for line in chosen]


def page_questions(
    pages: Sequence[Document], method: Method, count: int, settings: Settings, *, checked: bool
) -> list[TrainingExample]:
    """Make questions of pages by one method.

    Args:
        pages: The pages.
        method: The method: one of ours, or of the strategy ``synthetic``.
        count: The most.
        settings: The settings.
        checked: Whether they go through all checks of the generator.

    Returns:
        The questions: of each page one, before any page has two.
    """
    generator = TrainingDataGenerator(settings, documents=pages)
    strategy = method if method in _LINES else "synthetic"
    made = generator.iter_training_data(None, strategy, validation=checked)
    return one_of_each_first(one for one in made if one.metadata["method"] == method)[:count]


def one_of_each_first(examples: Iterable[TrainingExample]) -> list[TrainingExample]:
    """Bring the first example of each page before the second of any; their order stays otherwise."""
    seen: Counter[str] = Counter()
    numbered: list[tuple[int, TrainingExample]] = []
    for one in examples:
        numbered.append((seen[page_of(one)], one))
        seen[page_of(one)] += 1
    return [one for _, one in sorted(numbered, key=lambda pair: pair[0])]


def with_negatives(
    examples: Iterable[TrainingExample], mined: Iterable[TrainingExample], most: int
) -> list[TrainingExample]:
    """Give examples the negatives that were mined for them; those without any stay as they are."""
    found = {(one.query, one.response): one.negatives[:most] for one in mined}
    return [_changed(one, negatives=found.get((one.query, one.response), ())) for one in examples]
