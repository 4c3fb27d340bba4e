"""``ragtime evaluate``: how good a model is, and whether it takes the place of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragtime.cli.output import print_json, print_line, print_table
from ragtime.config.settings import get_settings
from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    from ragtime.services.model_finetuner import Comparison, Decision, EvaluationData, EvaluationResult
    from ragtime.services.model_finetuner.comparison import OpenedModel

__all__ = ["evaluate"]

_KEPT = 3  # exit code: all went well, and the base model is kept


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="The questions: a file of examples, a folder in the layout of BEIR, or a data set of generate, of "
            "which the held-out part is read."
        ),
    ],
    *,
    model: Annotated[
        str | None, typer.Option(help="Folder, registry:NAME[@VERSION] or name; the model in use when none is given.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Compare with this model, and decide whether --model takes its place.")
    ] = None,
    general: Annotated[
        Path | None,
        typer.Option(help="With --base: questions of the general check; those of the packaged sample when none."),
    ] = None,
    no_general: Annotated[bool, typer.Option("--no-general", help="With --base: make no general check.")] = False,
    figure: Annotated[str, typer.Option(help="With --base: the figure that decides.")] = "ndcg@10",
    split: Annotated[str | None, typer.Option(help="Of a folder in the layout of BEIR: the part to read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a retrieval model on questions whose answers are known.

    With --base, another model is measured on the same questions, and the gate decides: exit code 0 when the model takes
    its place, 3 when it does not. Use questions that were not trained on.

    Examples:

      ragtime evaluate data/test.jsonl

      ragtime evaluate data --model models/tuned --base all-MiniLM-L6-v2
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.services.model_finetuner import EvaluationData, Gate, compare  # noqa: PLC0415 - only when it runs
    from ragtime.services.model_finetuner.comparison import evaluate_model  # noqa: PLC0415

    if base is None and (general is not None or no_general):
        raise InvalidArgumentError("--general and --no-general belong to a comparison: give --base, too")
    if general is not None and no_general:
        raise InvalidArgumentError("--no-general makes no general check, --general says by what; give one of them")
    target = _questions(data, split)
    if base is None:
        _tell_result(evaluate_model(_opened(model), target), as_json=as_json)
        return
    sets = [target]
    if not no_general:
        sets.append(EvaluationData.sample(reserved=True) if general is None else _questions(general, None))
    models = _opened(base), _opened(model)
    first, second = ([evaluate_model(one, some) for some in sets] for one in models)
    compared = [compare(first[0], second[0], figure=figure), *map(compare, first[1:], second[1:])]
    decision = Gate().decide(*compared)
    if as_json:
        print_json(
            {
                "base": first[0].model_dump(mode="json"),
                "tuned": second[0].model_dump(mode="json"),
                "comparisons": [one.model_dump(mode="json") for one in compared],
                "decision": _decision(decision),
            }
        )
    else:
        _tell_comparison(first[0], second[0], compared[0], decision)
    if not decision.promote:
        raise typer.Exit(_KEPT)


def _questions(path: Path, split: str | None) -> EvaluationData:
    from ragtime.services.model_finetuner import EvaluationData  # noqa: PLC0415 - as above
    from ragtime.utils.retrieval_sets import load_retrieval_set  # noqa: PLC0415

    if not path.exists():
        raise InvalidArgumentError(f"There is no file or folder '{path}'")
    if split is None:
        return EvaluationData.of(path)
    return EvaluationData.of(load_retrieval_set(path, split=split), name=f"{path.resolve().name}, {split}")


def _opened(model: str | None) -> OpenedModel:
    from ragtime.backends.encoders import create_encoder  # noqa: PLC0415 - as above
    from ragtime.services.model_finetuner.comparison import OpenedModel, open_model  # noqa: PLC0415

    settings = get_settings()
    if model is not None:
        return open_model(model, settings)
    return OpenedModel(settings.embedding.model_name, create_encoder(settings, cached=False))


def _decision(decision: Decision) -> dict[str, Any]:
    told = {"questions_missing": decision.questions_missing, "sentence": decision.sentence}
    return {**decision.model_dump(mode="json"), **told}


def _tell_result(result: EvaluationResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    print_line(f"{result.model_name} on {result.data_name}: {result.questions:,} questions")
    print_table(["figure", "value"], [[name, f"{value:.4f}"] for name, value in result.figures.items()])


def _tell_comparison(base: EvaluationResult, tuned: EvaluationResult, compared: Comparison, decision: Decision) -> None:
    print_line(f"{base.model_name} and {tuned.model_name} on {base.data_name}: {base.questions:,} questions")
    print_table(
        ["figure", base.model_name, tuned.model_name, "difference"],
        [
            [name, f"{value:.4f}", f"{tuned.figures[name]:.4f}", f"{tuned.figures[name] - value:+.4f}"]
            for name, value in base.figures.items()
        ],
    )
    print_line(f"Questions won: {compared.won:,}, lost: {compared.lost:,}, equal: {compared.tied:,}")
    effect = compared.smallest_visible_effect
    if effect is not None:
        print_line(f"Smallest rise of {compared.figure} that these questions would have shown: {effect:.4f}")
    for line in (*decision.reasons, *decision.cautions):
        print_line(line)
    print_line("Promote the tuned model." if decision.promote else "Keep the base model.")
