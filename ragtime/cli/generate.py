"""``ragtime generate``: training data from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragtime.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from ragtime.config.settings import Settings

__all__ = ["generate"]


def generate(  # noqa: PLR0913 - options, each by its name
    *,
    docs: Annotated[
        Path | None, typer.Option(help="Folder or file of Markdown, text, HTML or JSON Lines: the passages.")
    ] = None,
    conversations: Annotated[Path | None, typer.Option(help="JSON Lines of conversations, in any format.")] = None,
    feedback: Annotated[Path | None, typer.Option(help="JSON or JSON Lines of ratings.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="JSON Lines of queries, or a folder in the layout of BEIR.")
    ] = None,
    examples: Annotated[Path | None, typer.Option(help="Examples that exist already.")] = None,
    count: Annotated[int, typer.Option(help="How many examples in all.")] = 100,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            help="How they are made: query_based (when none is given), conversation_based, synthetic, augmentation or "
            "negative_sampling; several share the count."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the data set; datasets/ID in the data folder when none is given.")
    ] = None,
    shape: Annotated[
        str,
        typer.Option(
            help="Rows of the parts: pairs, triplets, N-tuples, labelled_pairs, scored_lists, messages, preferences or "
            "examples."
        ),
    ] = "pairs",
    form: Annotated[
        str, typer.Option("--format", help="Files of the parts: jsonl, json, csv, parquet or datasets.")
    ] = "jsonl",
    dense: Annotated[
        bool, typer.Option("--dense", help="Search passages by the embedding model instead of by words.")
    ] = False,
    llm: Annotated[
        bool, typer.Option("--llm", help="Let the model of the section llm write queries and paraphrases, too.")
    ] = False,
    split: Annotated[str, typer.Option(help="Part of a folder in the layout of BEIR.")] = "train",
    turns_field: Annotated[str, typer.Option(help="Field that holds the turns of a conversation.")] = "turns",
    rating_field: Annotated[str, typer.Option(help="Field that holds the rating of a record.")] = "rating",
    rating_scale: Annotated[
        tuple[float, float], typer.Option(metavar="WORST BEST", help="The worst and the best rating.")
    ] = (1, 5),
    remove_unfinished: Annotated[
        bool,
        typer.Option(
            "--remove-unfinished",
            help="Make nothing: remove what interrupted runs have left in the data folder, with the texts in it.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make training data: checked examples in parts without leaks, with a manifest, a card and an evaluation set.

    Without any source, the packaged sample is used. A run that is interrupted goes on where it was when the same
    command is given again.

    Examples:

      ragtime generate --docs handbook --strategy synthetic --count 1000

      ragtime generate --docs handbook --feedback ratings.jsonl --out data
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.backends.generators import create_generator  # noqa: PLC0415 - as the service: only when it runs
    from ragtime.config.settings import get_settings  # noqa: PLC0415
    from ragtime.services.training_data_gen import SourceOptions, TrainingDataGenerator  # noqa: PLC0415

    settings = get_settings()
    if remove_unfinished:
        _remove_unfinished(settings, as_json=as_json)
        return
    if dense:
        settings = settings.replace(training_data__retriever="dense")
    with TrainingDataGenerator(
        settings,
        documents=docs,
        conversations=conversations,
        queries=queries,
        feedback=feedback,
        examples=examples,
        generator=create_generator(settings) if llm else None,
        source_options=SourceOptions(
            turns_field=turns_field, rating_field=rating_field, rating_scale=rating_scale, split=split
        ),
    ) as generator:
        report = generator.generate_dataset(count, strategy or ["query_based"], folder=out, shape=shape, format=form)
    sample = all(source is None for source in (docs, conversations, feedback, queries, examples))
    if as_json:
        told: dict[str, Any] = {
            "id": report.id,
            "folder": str(report.folder),
            "sample": sample,
            "parts": dict(report.parts),
            "rows": dict(report.rows),
            "misses": dict(report.misses),
            "left_out": {part: dict(reasons) for part, reasons in report.left_out.items()},
            "metrics": report.metrics.model_dump(mode="json"),
        }
        print_json(told)
        return
    print_table(
        ["stage", "strategy", "candidates", "kept", "rejected"],
        [
            [
                stage.stage,
                stage.strategy,
                str(stage.candidates),
                str(stage.kept),
                "; ".join(f"{number} × {reason}" for reason, number in stage.rejected.items()),
            ]
            for stage in (*report.metrics.sources, *report.metrics.stages)
        ],
    )
    for part, reasons in report.left_out.items():
        for reason, number in reasons.items():
            print_line(f"Not in {part}, for {shape} cannot express it: {number} × {reason}")
    if sample:
        print_line("No source was given: this is made of the packaged sample")
    parts = ", ".join(f"{number} {name}" for name, number in report.parts.items())
    if report.rows != report.parts:
        print_line("Rows: " + ", ".join(f"{number} {name}" for name, number in report.rows.items()))
    print_line(f"{report.metrics.produced} examples ({parts}) in {report.folder}")


def _remove_unfinished(settings: Settings, *, as_json: bool) -> None:
    from ragtime.services.training_data_gen import remove_unfinished  # noqa: PLC0415 - as above

    found = remove_unfinished(settings)
    if as_json:
        print_json({"removed": found.removed, "in_use": found.in_use})
    else:
        print_line(f"{found.removed} unfinished runs removed, {found.in_use} in use")
