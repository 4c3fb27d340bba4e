"""``ragtime forget``: forget a user's turns for good, and name the data sets and models that hold them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragtime.cli.conversation_text import one_line, told_time
from ragtime.cli.output import print_json, print_line, print_table
from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    from ragtime.services.learning.forgetting import ForgettingPlan, Forgotten, HeldDataset, HeldModel, PlanStep

__all__ = ["forget"]


def forget(
    *,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Whose turns and ratings; none for those without a user.")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", metavar="ID", help="Only this conversation.")
    ] = None,
    turn: Annotated[str | None, typer.Option("--turn", metavar="ID", help="Only this turn of it.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Name what holds them, and change nothing.")] = False,
    folder: Annotated[
        list[Path] | None,
        typer.Option("--folder", metavar="FOLDER", help="Look for data sets and models here, too; several times."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, as is done on a terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forget a user: remove the turns for good, and name what was made of them.

    Turns go from the conversations, with the working files of interrupted runs. Data sets and models that were made of
    the user's turns and ratings are named, with what has to be made anew without them, in order; they stay until then.
    Files that were given as sources, such as a log of ratings, are yours to clean.

    Examples:

      ragtime forget --user ann --plan

      ragtime forget --user ann

      ragtime forget --user ann --conversation 3f6c --plan --json
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.services.learning.forgetting import (  # noqa: PLC0415 - heavy: only when it runs
        check_found,
        forget_everywhere,
        plan_forgetting,
    )

    if user is None and conversation is None:
        raise InvalidArgumentError(
            "Name whom to forget with --user, or a conversation without a user with --conversation"
        )
    if turn is not None and conversation is None:
        raise InvalidArgumentError("--turn is one of a conversation: name that with --conversation")
    if plan:
        found = plan_forgetting(user, conversation_id=conversation, turn_id=turn, folders=folder or ())
        check_found(found)
        _tell_plan(found, as_json=as_json)
        return
    if not yes and sys.stdin is not None and sys.stdin.isatty():
        whose = f"of user {user!r}" if user is not None else "without a user"
        what = f"conversation {conversation!r} {whose}" if conversation is not None else f"all turns {whose}"
        if not typer.confirm(f"Forget {f'turn {turn!r} of ' if turn is not None else ''}{what} for good?", err=True):
            raise typer.Exit(1)
    _tell_forgotten(
        forget_everywhere(user, conversation_id=conversation, turn_id=turn, folders=folder or ()), as_json=as_json
    )


def _tell_plan(plan: ForgettingPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(plan.model_dump(mode="json"))
        return
    print_line(f"In the store: {plan.turns} turns of {plan.conversations} conversations")
    _tell_holders(plan)
    _tell_steps("To do, in this order:", plan.steps)


def _tell_forgotten(forgotten: Forgotten, *, as_json: bool) -> None:
    receipt, unfinished = forgotten.receipt, forgotten.unfinished
    if as_json:
        told: dict[str, Any] = {
            "forgotten": None if receipt is None else {**asdict(receipt), "at": receipt.at.isoformat()},
            "unfinished_training_data": unfinished._asdict(),
            "plan": forgotten.plan.model_dump(mode="json"),
            "left_to_do": [step.model_dump(mode="json") for step in forgotten.plan.left_to_do],
        }
        print_json(told)
        return
    if receipt is None:
        print_line("The store held nothing of it any more")
    else:
        print_line(
            f"Forgotten at {told_time(receipt.at)}: {receipt.turns} turns of "
            f"{len(receipt.conversation_ids)} conversations, {receipt.cached_vectors} cached vectors"
        )
        for each in receipt.conversation_ids:
            print_line(f"  {one_line(each)}")
    print_line(f"Removed the working files of {unfinished.removed} runs that make training data and had not ended")
    if unfinished.in_use:
        print_line(f"{unfinished.in_use} such runs are going on: they may hold what was forgotten")
    _tell_holders(forgotten.plan)
    _tell_steps("Left to do, in this order:", forgotten.plan.left_to_do)


def _tell_holders(plan: ForgettingPlan) -> None:
    if plan.datasets:
        head = ("data set", "examples of it", "of", "folder")
        print_table(head, map(_dataset_row, plan.datasets), title="Data sets that hold it")
    if plan.models:
        print_table(("model", "stage", "why"), map(_model_row, plan.models), title="Models that were trained on it")
    if plan.folders:
        rows = [(one.kind.replace("_", " "), str(one.path)) for one in plan.folders]
        print_table(("what", "where"), rows, title="What else holds it")
    for doubt in plan.doubts:
        print_line(one_line(f"Not known: {doubt.what}: {doubt.why}"))


def _tell_steps(head: str, steps: Iterable[PlanStep]) -> None:
    lines = [f"  {number}. {step.action}: {one_line(step.what)}" for number, step in enumerate(steps, start=1)]
    print_line("\n".join([head, *lines]) if lines else "Nothing is left to do")


def _dataset_row(dataset: HeldDataset) -> Sequence[str]:
    return dataset.name, f"{dataset.examples:,}", f"{dataset.total:,}", str(dataset.folder)


def _model_row(model: HeldModel) -> Sequence[str]:
    through = ", ".join(model.through)
    why = {
        "turns": "its run has noted the user",
        "dataset": f"it was trained on the data set {through}",
        "parent": f"it was trained from {through}",
    }[model.reason]
    copy = "" if model.copy_of is None else f"; a copy of {model.copy_of}"
    return model.name, model.stage or "", why + copy
