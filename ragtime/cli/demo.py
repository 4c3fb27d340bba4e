"""``ragtime demo``: the learning loop on real text, offline."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragtime.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from ragtime.services.learning.demo import DemoResult, DemoSources

__all__ = ["demo"]

_FIGURES = {"recall@10": "recall@10", "ndcg@10": "nDCG@10"}
_SOURCES = """\
Real: {pages:,} pages, documentation strings of the standard library of Python {python}, cut at {tokens} tokens.
Simulated: {users} users with {asked:,} questions about {seen:,} of the pages. A question is a sentence that was taken
out of a page, so that its answer is known. By that, its user rates the first {results} pages that {model}
finds, one in {mistakes} the wrong way round: {ratings:,} ratings. {answered:,} of the questions find their page.
Held out: {held_out:,} such questions about the other {unseen:,} pages, of which the model sees nothing in training.
All of it is in {folder}
"""


def demo(
    *,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Chooses pages, questions and users; the seed of the settings when none.")
    ] = None,
    pages: Annotated[int, typer.Option(min=50, max=1000, help="Most pages; fewer are quicker, and show less.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the learning loop on real text with simulated users. Needs no network, and about three minutes.

    The pages are documentation strings of this Python's standard library. Simulated users ask sentences that were taken
    out of them, and rate what the untuned model finds; the model is tuned on that, measured by questions about pages
    that it has never seen, and promoted if it is better. A run that is interrupted goes on where it was when the same
    command is given again.

    Examples:

      ragtime demo

      ragtime demo --seed 7 --json
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.config.settings import get_settings  # noqa: PLC0415 - heavy: only when it runs
    from ragtime.services.learning.demo import run_demo  # noqa: PLC0415

    result = run_demo(get_settings(), seed=seed, pages=pages, on_sources=None if as_json else _tell_sources)
    if as_json:
        print_json(_as_json(result))
    else:
        _tell(result)


def _tell_sources(sources: DemoSources) -> None:
    """Say what is real and what is simulated, before the learning begins."""
    from ragtime.services.learning.demo.corpus import PAGE_TOKENS  # noqa: PLC0415 - as above
    from ragtime.services.learning.demo.users import MISTAKES, RESULTS, USERS  # noqa: PLC0415

    desk = sources.desk
    print_line(
        _SOURCES.format(
            python=platform.python_version(),
            pages=len(desk.pages),
            tokens=PAGE_TOKENS,
            users=USERS,
            asked=len(desk.asked),
            seen=len(desk.seen_pages),
            results=RESULTS,
            model=sources.model_name,
            mistakes=round(1 / MISTAKES),
            answered=sources.answered,
            ratings=len(sources.ratings),
            held_out=len(desk.held_out),
            unseen=len(desk.unseen),
            folder=sources.folder,
        )
    )


def _tell(result: DemoResult) -> None:
    report = result.report
    before, after = result.before, result.after
    if before is not None and after is not None:
        print_table(
            ["held-out questions", "untuned", "tuned", "difference"],
            [
                [
                    shown,
                    f"{before.figures[name].value:.3f}",
                    f"{after.figures[name].value:.3f}",
                    f"{after.figures[name].value - before.figures[name].value:+.3f}",
                ]
                for name, shown in _FIGURES.items()
            ],
        )
    print_line(f"\n{report.sentence}")
    if report.html_path is not None:
        print_line(f"\nReport: {report.html_path}")
    if report.next_step is not None:
        print_line(f"To use the model from now on, set: {report.next_step}")
    print_line("The same with texts and ratings of your own: ragtime learn --help")


def _as_json(result: DemoResult) -> dict[str, Any]:
    sources, report, desk = result.sources, result.report, result.sources.desk
    measured = {"before": result.before, "after": result.after}
    return {
        "outcome": report.outcome,
        "sentence": report.sentence,
        **{
            when: None if model is None else {name: figure.value for name, figure in model.figures.items()}
            for when, model in measured.items()
        },
        "held_out_questions": len(desk.held_out),
        "pages": len(desk.pages),
        "unseen_pages": len(desk.unseen),
        "simulated": {
            "questions": len(desk.asked),
            "questions_that_found_their_page": sources.answered,
            "ratings": len(sources.ratings),
            "good_ratings": sum(rating.is_good for rating in sources.ratings),
        },
        "sources": str(sources.folder),
        "report": None if report.html_path is None else str(report.html_path),
        "report_json": None if report.json_path is None else str(report.json_path),
        "version": report.version,
        "next_step": report.next_step,
    }
