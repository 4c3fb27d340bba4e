"""Strategies of users: what is wrong with one is said when it is registered, and when it is run, by its name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, GenerationError, InvalidArgumentError
from ragtime.services.training_data_gen import (
    Rejected,
    TrainingDataGenerator,
    TrainingExample,
    register_strategy,
    strategy_names,
)

EXAMPLE = TrainingExample(query="How long are returns free?", response="Returns are free for 30 days.", strategy="own")
_numbers = itertools.count(1)


class Own:
    """Gives what it is told to."""

    def __init__(self, name: str, units: Callable[[], Any], make: Callable[[list[Any]], Any]) -> None:
        self.name = name
        self._units, self._make = units, make

    def units(self, sources: Any, tools: Any) -> Any:  # noqa: ARG002 - as the protocol
        return self._units()

    def make(self, units: Any, tools: Any) -> Any:  # noqa: ARG002 - as the protocol
        return self._make(units)


def one_unit() -> list[dict[str, int]]:
    return [{"number": 1}]


def run(tmp_path: Path, units: Callable[[], Any] = one_unit, make: Callable[[list[Any]], Any] | None = None) -> Any:
    """Register a strategy under a name of its own, and make what it gives."""
    name = f"own {next(_numbers)}"
    register_strategy(name, lambda: Own(name, units, make or (lambda some: [[EXAMPLE] for _ in some])))
    settings = Settings.isolated(data_dir=tmp_path, logging__progress="off")
    generator = TrainingDataGenerator(settings, documents=[EXAMPLE.response])
    return list(generator.iter_training_data(strategy=name, validation=False))


class NoMake:
    """Has half of what a strategy has."""

    name = "half"

    def units(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("", Own, "name of one line"),
        (" a", Own, "name of one line"),
        ("a\nb", Own, "name of one line"),
        (7, Own, "name of one line, found an object of type int"),
        ("half", NoMake, "The class NoMake is no strategy: it lacks make"),
        ("dict", dict, r"lacks units\(\) and make\(\)"),
        ("text", "Own", "'text' is registered by its class.*found an object of type str"),
        ("made", Own("made", one_unit, len), "'made' is registered by its class, or by a function"),
    ],
)
def test_what_cannot_be_a_strategy_is_refused(name: Any, make: Any, message: str) -> None:
    before = strategy_names()
    with pytest.raises(InvalidArgumentError, match=message):
        register_strategy(name, make)
    assert strategy_names() == before


def nameless() -> Any:
    made = Own("", one_unit, len)
    del made.name
    return made


def failing() -> Any:
    raise KeyError("secret text")


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (nameless, InvalidArgumentError, "has no name; its name must be"),
        (lambda: Own("other", one_unit, len), InvalidArgumentError, "is named 'other'; its name must be"),
        (lambda: None, InvalidArgumentError, "makes no strategy: an object of type NoneType lacks"),
        (failing, GenerationError, "cannot be made: KeyError$"),
    ],
)
def test_what_makes_no_strategy_of_its_name_is_told_before_anything_is_read(
    tmp_path: Path, make: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    name = f"own {next(_numbers)}"
    register_strategy(name, make)
    generator = TrainingDataGenerator(Settings.isolated(data_dir=tmp_path), documents=[EXAMPLE.response])
    with pytest.raises(kind, match=f"{name}.*{message}"):
        generator.generate_training_data(1, name)
    assert not (tmp_path / "datasets").exists()


def half_way() -> Iterator[dict[str, int]]:
    yield {"number": 1}
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (lambda: None, "must give units one by one; found NoneType"),
        (lambda: ["text"], "must give JSON objects; found str"),
        (lambda: [None], "must give JSON objects; found NoneType"),
        (lambda: [{"what": object()}], "must give what JSON can hold"),
        (lambda: [{1: 2}], "must give what JSON can hold"),
        (failing, "failed: KeyError$"),
        (half_way, "failed: ZeroDivisionError$"),
    ],
)
def test_wrong_units_name_the_strategy(tmp_path: Path, units: Callable[[], Any], message: str) -> None:
    with pytest.raises(GenerationError, match=rf"units\(\) of the strategy 'own \d+' {message}"):
        run(tmp_path, units=units)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, r"make\(\) of the strategy 'own \d+' must give a list .* found NoneType"),
        (lambda _: [], r"make\(\) of the strategy 'own \d+' must give .* each of 1 units; found 0"),
        (lambda _: [EXAMPLE], r"'own \d+' must give a list of outcomes for each unit; found TrainingExample"),
        (lambda _: [Rejected("no")], r"'own \d+' must give a list of outcomes for each unit; found Rejected"),
        (lambda _: [["text"]], r"'own \d+' must give TrainingExample or Rejected; found str"),
        (lambda _: [[{"query": "a", "response": "b"}]], r"'own \d+' must give .* found dict"),
        (lambda _: [[Rejected("")]], r"Rejected of the strategy 'own \d+' must have a reason"),
        (lambda _: [[Rejected(7)]], r"Rejected of the strategy 'own \d+' must have a reason"),
        (lambda _: failing(), r"make\(\) of the strategy 'own \d+' failed: KeyError$"),
    ],
)
def test_wrong_outcomes_name_the_strategy(tmp_path: Path, make: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(GenerationError, match=message):
        run(tmp_path, make=make)


def test_an_error_of_its_own_is_the_cause_and_what_was_made_is_kept(tmp_path: Path) -> None:
    with pytest.raises(GenerationError) as caught:
        run(tmp_path, make=lambda _: failing())
    assert isinstance(caught.value.__cause__, KeyError)
    assert list(tmp_path.glob("datasets/unfinished/*.sqlite"))


def test_what_is_wrong_each_time_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(GenerationError):
        run(tmp_path, make=lambda _: [["text"]])
    assert not list(tmp_path.glob("datasets/unfinished/*"))


def test_errors_of_the_library_stay_what_they_are(tmp_path: Path) -> None:
    def unreachable(_: Any) -> Any:
        raise BackendError("The server is down")

    with pytest.raises(BackendError, match="server is down"):
        run(tmp_path, make=unreachable)


def test_a_right_one_runs(tmp_path: Path) -> None:
    assert run(tmp_path) == [EXAMPLE]
    assert run(tmp_path, make=lambda some: tuple((EXAMPLE,) for _ in some)) == [EXAMPLE]
    assert run(tmp_path, units=list) == []
