"""``ragtime learn``: from what people asked and rated to a better model, or to the reason why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from ragtime.cli.learn_text import tell_plan, tell_report
from ragtime.cli.output import print_json
from ragtime.cli.tuning_options import (
    BaseModelName,
    BatchSize,
    Epochs,
    FrozenLayers,
    LearningRate,
    MaxLength,
    tuning_config,
)
from ragtime.errors import InvalidArgumentError

__all__ = ["learn", "parse_rating_scale"]

_EXIT_CODES: Mapping[str, int] = {"promoted": 0, "possible": 0, "kept": 3, "too_little_data": 4}
"""The exit code of each outcome: what was asked for is done, the gate keeps what is in use, nothing was trained."""
_OPTIONS: Mapping[str, str] = {"strategy": "--tuning-strategy"}
"""The options of fields that are called otherwise in ``ragtime finetune``."""

_NUMBER = r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))"
_SCALE = re.compile(rf"\s*{_NUMBER}\s*-\s*{_NUMBER}\s*", re.ASCII)
_SHOWN = 50  # characters of what was given


def learn(  # noqa: PLR0913 - options, each by its name
    *,
    conversations: Annotated[Path | None, typer.Option(help="JSON Lines of conversations, in any format.")] = None,
    feedback: Annotated[Path | None, typer.Option(help="JSON or JSON Lines of ratings.")] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Folder or file of Markdown, text, HTML or JSON Lines: what is searched.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="JSON Lines of queries, or a folder in the layout of BEIR.")
    ] = None,
    examples: Annotated[Path | None, typer.Option(help="Training examples that exist already.")] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--eval",
            help="Questions by which the gate decides, as for ragtime evaluate; a share of the data is held out when "
            "none are given.",
        ),
    ] = None,
    general: Annotated[
        Path | None,
        typer.Option(help="Questions that show what the model forgets; those of the packaged sample when none."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the model is called in the registry.")] = "retriever",
    turns_field: Annotated[str, typer.Option(help="Field that holds the turns of a conversation.")] = "turns",
    rating_field: Annotated[str, typer.Option(help="Field that holds the rating of a record.")] = "rating",
    rating_scale: Annotated[
        str,
        typer.Option(
            metavar="WORST-BEST",
            help="The worst and the best rating, such as 1-4, 0-1 or -1-1; 6-1 where the lower number is the better.",
        ),
    ] = "1-5",
    split: Annotated[str, typer.Option(help="Part of a folder in the layout of BEIR to learn from.")] = "train",
    base_model: BaseModelName = None,
    strategy: Annotated[str | None, typer.Option("--tuning-strategy", help="full, lora, adapter or quantized.")] = None,
    frozen_layers: FrozenLayers = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: MaxLength = None,
    dense: Annotated[
        bool, typer.Option("--dense", help="Search passages by the embedding model instead of by words.")
    ] = False,
    llm: Annotated[
        bool, typer.Option("--llm", help="Let the model of the section llm write queries and paraphrases, too.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be done, how long it would take and what is missing; write and train nothing.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn from conversations, ratings and documents, and put the tuned model into production if it is better.

    What the sources give becomes training data, a part of it is held out, the base model is tuned on the rest, and the
    gate compares what came out with what is in use. A page reports all of it. A run that is interrupted goes on where
    it was when the same command is given again; of one that has ended, the result is told again. Settings are never
    changed: the line to set is printed.

    A record that cannot be used is counted with its reason, and costs no other. A file that is not there, that cannot
    be read, or of which no record has the field that was named, is refused before any work is done.

    Exit codes: 0: the tuned model is in production. 3: the gate keeps what is in use. 4: there is too little data, and
    nothing was trained. 2: the arguments or the settings are wrong. 1: the work failed. With --dry-run: 0, or 4 when
    the data would not do.

    Examples:

      ragtime learn --feedback ratings.jsonl --docs handbook

      ragtime learn --feedback ratings.jsonl --rating-scale 0-10 --dry-run

      ragtime learn --conversations chats.jsonl --docs handbook --name support
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.backends.generators import create_generator  # noqa: PLC0415 - as the service: only when it runs
    from ragtime.config.settings import get_settings  # noqa: PLC0415
    from ragtime.services.learning import LearningLoop, LearningSources  # noqa: PLC0415
    from ragtime.services.training_data_gen import SourceOptions  # noqa: PLC0415

    _check_given((conversations, feedback, docs, queries, examples), (evaluation, general))
    settings = get_settings()
    if dense:
        settings = settings.replace(training_data__retriever="dense")
    sources = LearningSources(
        conversations=conversations,
        feedback=feedback,
        documents=docs,
        queries=queries,
        examples=examples,
        options=SourceOptions(
            turns_field=turns_field,
            rating_field=rating_field,
            rating_scale=parse_rating_scale(rating_scale),
            split=split,
        ),
    )
    config = tuning_config(
        _OPTIONS,
        settings,
        base_model_name=base_model,
        strategy=strategy,
        frozen_layers=frozen_layers,
        num_epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_seq_length=max_length,
    )
    loop = LearningLoop(settings, generator=create_generator(settings) if llm else None, finetuning=config)
    if dry_run:
        plan = loop.plan(sources, name, evaluation=evaluation, general=general)
        if as_json:
            missing = {"missing_pairs": plan.missing_pairs, "missing_questions": plan.missing_questions}
            print_json({**plan.model_dump(mode="json"), **missing})
        else:
            tell_plan(plan)
        _leave(plan.outcome)
        return
    report = loop.run(sources, name, evaluation=evaluation, general=general)
    if as_json:
        print_json({**report.model_dump(mode="json"), "html": str(report.html_path), "json": str(report.json_path)})
    else:
        tell_report(report)
    _leave(report.outcome)


def _check_given(sources: Iterable[Path | None], questions: Iterable[Path | None]) -> None:
    if all(source is None for source in sources):
        raise InvalidArgumentError(
            "There is nothing to learn from: give --conversations, --feedback, --docs, --queries or --examples"
        )
    for path in questions:
        if path is not None and not path.exists():
            raise InvalidArgumentError(f"There is no file or folder '{path}'")


def _leave(outcome: str) -> None:
    if code := _EXIT_CODES[outcome]:
        raise typer.Exit(code)


def parse_rating_scale(text: str) -> tuple[float, float]:
    """Read a scale of ratings.

        >>> parse_rating_scale("1-4"), parse_rating_scale("-1-1")
        ((1.0, 4.0), (-1.0, 1.0))

    Args:
        text: The worst rating and the best with a hyphen between them; either may be negative or have decimals.

    Returns:
        The worst rating and the best.

    Raises:
        InvalidArgumentError: It is something else, or both are the same.
    """
    found = _SCALE.fullmatch(text)
    if found is None:
        raise InvalidArgumentError(
            f"--rating-scale: found {text[:_SHOWN]!r}; expected the worst and the best rating with a hyphen between "
            "them, such as 1-4 or -1-1"
        )
    worst, best = float(found[1]), float(found[2])
    if worst == best:
        raise InvalidArgumentError(
            f"--rating-scale: found {text[:_SHOWN]!r}; expected two different ratings, such as 1-4"
        )
    return worst, best
