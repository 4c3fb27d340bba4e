"""Progress: a bar on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr

import pytest
from rich.console import Console

from ragtime.config.settings import override_settings
from ragtime.errors import InvalidArgumentError
from ragtime.utils.progress import track, track_each


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def test_lines_tell_steps_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    with track("Embedding", total=100, unit="texts", mode="lines", clock=lambda: now[0]) as progress:
        for second in range(1, 21):
            now[0] = float(second)
            progress.advance(4, loss=1 / second)
        progress.advance(20)
    assert [record.getMessage() for record in caplog.records] == [
        "Embedding: 40 of 100 texts, 4/s, about 15 s left, loss 0.1",
        "Embedding: 80 of 100 texts, 4/s, about 5 s left, loss 0.05",
        "Embedding: done, 100 of 100 texts, 5/s, loss 0.05",
    ]


def test_lines_without_a_total(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with track("Reading", mode="lines", clock=lambda: 0.0) as progress:
        progress.advance(3)
    assert [record.getMessage() for record in caplog.records] == ["Reading: done, 3 steps"]


def test_a_failure_is_not_called_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(KeyError), track("Reading", mode="lines"):
        raise KeyError
    assert not caplog.records


def test_a_bar_shows_description_counts_and_figures() -> None:
    console = _console()
    with track("[red]Embedding", total=3, unit="texts", mode="bar", console=console) as progress:
        progress.advance(3, loss=0.25)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "[red]Embedding" in shown
    assert "3/3" in shown
    assert "loss 0.25" in shown


def test_a_bar_inside_a_bar_shares_the_display() -> None:
    console = _console()
    with track("Outer", total=1, mode="bar", console=console) as outer:
        with track("Inner", total=2, mode="bar") as inner:
            inner.advance(2)
        outer.advance()
    assert isinstance(console.file, io.StringIO)
    assert "Inner" in console.file.getvalue()
    with track("Later", total=1, mode="bar", console=console) as later:
        later.advance()
    assert "Later" in console.file.getvalue()


def test_quiet_shows_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with override_settings(logging__progress="off"), track("Embedding", total=3) as progress:
        progress.advance(3, loss=1.0)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize(("stream", "shown"), [(_Terminal, True), (io.StringIO, False)])
def test_a_terminal_decides_between_bar_and_lines(
    caplog: pytest.LogCaptureFixture, stream: type[io.StringIO], shown: bool
) -> None:
    caplog.set_level(logging.INFO)
    error = stream()
    with redirect_stderr(error), track("Embedding", total=1) as progress:
        progress.advance()
    assert ("Embedding" in error.getvalue()) == shown
    assert bool(caplog.records) != shown


def test_items_come_through_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with override_settings(logging__progress="lines"):
        assert list(track_each([1, 2], "Reading", unit="rows")) == [1, 2]
        assert list(track_each(iter("ab"), "Reading")) == ["a", "b"]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("Reading: done, 2 of 2 rows")
    assert second.startswith("Reading: done, 2 items")


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="mode must be one of auto, bar, lines, off, found 'foo'"):
        track("x", mode="foo").__enter__()  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["lines", "off"])
def test_a_figure_that_is_not_known_yet_is_left_out(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with track("Training", mode=mode) as progress:  # type: ignore[arg-type]
        progress.advance(loss=None)
    assert "loss" not in caplog.text
