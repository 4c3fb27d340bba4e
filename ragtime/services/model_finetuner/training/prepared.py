"""What a run is made of, before its first step: rows, and the texts in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TextRole
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.dataset import ReadRows, Row, RowColumns, columns, read_rows, split_rows
from ragtime.services.model_finetuner.evaluation import CUTOFFS, Validation, check_figure, cutoff_of
from ragtime.services.model_finetuner.evaluation.figures import CORRELATION_FIGURES, RATING_FIGURES, ranking_names
from ragtime.services.model_finetuner.metrics import Choice
from ragtime.services.model_finetuner.planning import number_texts
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")

__all__ = ["NumberedRows", "PreparedData", "number_rows", "prepare_data", "prepare_validation"]

_log = get_logger(__name__)

_LEAST_RESPONSES = 2
_LEAST_VALIDATION_TEXTS = 200  # fewer choose no step; of small data they take more of the time
_VALIDATION_SHARE = 0.1  # of the time
_CHARACTERS = 4  # of a token, about
_USUAL_TOKENS = 512  # that a model reads


@dataclass(frozen=True, slots=True)
class PreparedData:
    """The rows of a run.

    Attributes:
        read: All that was read to train on.
        training: The rows to train on.
        validation: Those held out, or given for it; empty when there are none.
        validation_fingerprint: Hash of those given for validation; ``None`` when they were held out.
        choices: What was chosen about them.
    """

    read: ReadRows
    training: Sequence[Row]
    validation: Sequence[Row]
    validation_fingerprint: str | None
    choices: tuple[Choice, ...]


def prepare_data(config: FineTuningConfig, dataset: Any, eval_dataset: Any = None) -> PreparedData:
    """Read the rows of a run, and hold some out.

    Args:
        config: A resolved config.
        dataset: What to train on.
        eval_dataset: What to validate on; ``None`` means to hold rows out.

    Returns:
        The rows.

    Raises:
        InvalidArgumentError: There is nothing to learn from, or the two have different shapes.
        StorageError: A file cannot be read.
    """
    read = read_rows(dataset)
    choices = [Choice(name="data_shape", value=read.shape, reason=read.reason)]
    _check_responses(read.rows, "data")
    if eval_dataset is not None:
        given = read_rows(eval_dataset)
        if given.shape != read.shape and {given.shape, read.shape} - {"pairs", "triplets"}:
            raise InvalidArgumentError(f"The data are {read.shape} rows and those for validation {given.shape} ones")
        known = {(row.query, row.response) for row in read.rows}
        shared = sum((row.query, row.response) in known for row in given.rows)
        if shared:
            _log.warning("Validation rows are trained on, too: their figures say little", shared=shared)
        choices.append(Choice(name="validation", value=f"{len(given.rows)} rows", reason="as given"))
        return PreparedData(read, read.rows, given.rows, given.fingerprint, tuple(choices))
    assert config.random_seed is not None  # noqa: S101 - it is there once a config is resolved
    split = split_rows(read.rows, config.validation_split, config.random_seed)
    _check_responses(split.train, "training part")
    usual = f"a share of {config.validation_split:g}, cut so that nothing is on both sides"
    choices.append(Choice(name="validation", value=f"{len(split.validation)} rows", reason=split.note or usual))
    return PreparedData(read, split.train, split.validation, None, tuple(choices))


def _check_responses(rows: Sequence[Row], what: str) -> None:
    texts = {row.response for row in rows} | {text for row in rows for text in row.negatives}
    if len(texts) < _LEAST_RESPONSES:
        raise InvalidArgumentError(
            f"The rows of the {what}, {len(rows)} in number, have one response in all: there is nothing to tell apart; "
            "add other passages"
        )


def prepare_validation(config: FineTuningConfig, data: PreparedData) -> Validation | None:
    """Choose what to validate on, so that evaluations take about a tenth of the time.

    The budget counts characters that are computed, not seconds: a run must be the same on a slower machine.

    Args:
        config: A resolved config.
        data: The rows.

    Returns:
        The validation; ``None`` when no rows were held out.

    Raises:
        InvalidArgumentError: The validation metric is none that these rows can give; lists those that are.
    """
    if not data.validation:
        cutoff = cutoff_of(config.validation_metric)
        names = ranking_names(sorted({*CUTOFFS, *(() if cutoff is None else (cutoff,))}))
        check_figure(config.validation_metric, [*names, *RATING_FIGURES, *CORRELATION_FIGURES])
        return None
    assert config.random_seed is not None  # noqa: S101 - it is there once a config is resolved
    validation = Validation.prepare(
        data.validation,
        data.read.shape,
        max_texts=max(_LEAST_VALIDATION_TEXTS, _affordable_texts(config, data.training)),
        seed=config.random_seed,
        others=data.training,
        metric=config.validation_metric,
    )
    if validation.left_out:
        _log.info("Validation uses some of the questions, so as not to take long", left_out=validation.left_out)
    return validation


def _affordable_texts(config: FineTuningConfig, rows: Sequence[Row]) -> int:
    """Return how many texts an evaluation may have.

    An epoch costs ``step * texts``, in forward passes of its texts, and has ``count`` evaluations and one before it:
    together they take a share s of the time when each has ``s / (1 - s) * step * texts / (count + 1)``. The number of
    epochs plays no part, so that runs of more epochs are measured by the same texts.
    """
    longest = _CHARACTERS * (config.max_seq_length or _USUAL_TOKENS)
    passages = {text for row in rows for text in (row.response, *row.negatives)}
    inside = sum(min(len(text), longest) for text in passages)
    everything = inside + sum(min(len(text), longest) for text in {row.query for row in rows} - passages)
    steps = -(-len(rows) // (config.batch_size * config.gradient_accumulation_steps))
    count = max(1, -(-steps // (config.evaluation_steps or steps)))
    budget = _VALIDATION_SHARE / (1 - _VALIDATION_SHARE) * _step_cost(config) * everything / (count + 1)
    return int(budget / (inside / len(passages)))  # most texts of an evaluation are passages


def _step_cost(config: FineTuningConfig) -> float:
    """Return how many forward passes a step takes: the way back through all weights is two more."""
    if config.strategy == "adapter" and config.adapter_method == "head":
        return 1.0  # all texts once, those of evaluations, too
    if config.strategy in {"lora", "adapter"}:
        return 2.0  # frozen weights get no gradients
    return 3.0 if config.frozen_layers is None else 1.5


@dataclass(frozen=True, slots=True, eq=False)
class NumberedRows:
    """The rows of a run, their texts as numbers.

    Attributes:
        texts: The distinct texts.
        roles: What each of them is.
        cells: int64 of shape ``[rows, columns]``, the training rows first, then the validation rows; -1 for none.
        columns: Labels, weights and scores of all rows, in the same order.
        queries: Numbers of the queries to validate with.
        passages: Numbers of the passages to validate with.
    """

    texts: Sequence[str]
    roles: Sequence[TextRole]
    cells: Numbers
    columns: RowColumns
    queries: Numbers
    passages: Numbers


def number_rows(data: PreparedData, validation: Validation | None, *, by_role: bool) -> NumberedRows:
    """Number the texts of a run.

    Args:
        data: The rows.
        validation: What to validate with.
        by_role: Whether a text is computed differently as a query and as a passage.

    Returns:
        The numbers; equal texts of one role have one number, and of both roles unless `by_role`.
    """
    made = columns([*data.training, *data.validation], data.read.shape)

    def key(text: str, role: TextRole) -> str:
        return f"{role}\0{text}" if by_role else text

    def keyed(texts: Sequence[str | None], role: TextRole) -> list[str | None]:
        return [None if text is None else key(text, role) for text in texts]

    named: list[list[str | None]] = [keyed(made.texts[0], "query")]
    named += [keyed(texts, "passage") for texts in made.texts[1:]]
    distinct, cells = number_texts(named)
    numbers = {text: number for number, text in enumerate(distinct)}
    wanted: list[Numbers] = []
    roles: tuple[tuple[TextRole, Sequence[str]], ...] = (
        ("query", validation.queries if validation is not None else ()),
        ("passage", validation.passages if validation is not None else ()),
    )
    for role, texts in roles:
        places = [numbers.setdefault(key(text, role), len(numbers)) for text in texts]
        wanted.append(np.array(places, np.int64))
    if not by_role:
        return NumberedRows(list(numbers), ["passage"] * len(numbers), cells, made, *wanted)
    parts = [text.split("\0", 1) for text in numbers]
    return NumberedRows(
        [text for _, text in parts],
        ["query" if role == "query" else "passage" for role, _ in parts],
        cells,
        made,
        *wanted,
    )
