"""The error tree, and how errors read."""

from __future__ import annotations

import pickle

import pytest

from ragtime import errors
from ragtime.errors import (
    BackendCancelledError,
    BackendError,
    BackendTimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    MissingExtraError,
    RagtimeError,
    SettingProblem,
    did_you_mean,
)


def test_all_errors_have_one_base() -> None:
    own = [value for name, value in vars(errors).items() if name.endswith("Error") and name in errors.__all__]
    assert len(own) == 17
    assert all(issubclass(error, RagtimeError) for error in own)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InvalidArgumentError, ValueError),
        (ConfigurationError, ValueError),
        (MissingExtraError, ImportError),
        (BackendTimeoutError, TimeoutError),
        (BackendTimeoutError, BackendError),
        (BackendCancelledError, BackendError),
    ],
)
def test_some_are_builtin_errors_too(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtraError("sentence_transformers", "embeddings")
    assert error.command == 'pip install "ragtime-gal[embeddings]"'
    assert str(error) == (
        "The module 'sentence_transformers' is not installed; it belongs to the extra 'embeddings'. "
        'Install it: pip install "ragtime-gal[embeddings]"'
    )
    assert (error.name, error.module, error.extra) == ("sentence_transformers", "sentence_transformers", "embeddings")


def test_a_list_of_problems_is_one_error() -> None:
    problems = [SettingProblem("a.b", "argument", "wrong"), SettingProblem("", "x.toml", "is not UTF-8")]
    assert (
        str(ConfigurationError.from_problems(problems))
        == "2 wrong settings:\n  a.b (argument): wrong\n  x.toml: is not UTF-8"
    )
    assert str(ConfigurationError.from_problems(problems[:1])) == "Wrong setting: a.b (argument): wrong"


def test_errors_survive_pickling() -> None:
    late = pickle.loads(pickle.dumps(BackendTimeoutError("too late")))
    assert (type(late), str(late)) == (BackendTimeoutError, "too late")
    missing = pickle.loads(pickle.dumps(MissingExtraError("m", "e")))
    assert (missing.module, str(missing)) == ("m", str(MissingExtraError("m", "e")))
    wrong = ConfigurationError.from_problems([SettingProblem("a", "b", "c")])
    copied = pickle.loads(pickle.dumps(wrong))
    assert (copied.problems, str(copied)) == (wrong.problems, str(wrong))


@pytest.mark.parametrize(
    ("name", "told"), [("sed", "; did you mean 'seed'?"), ("SEED", "; did you mean 'seed'?"), ("nothing-like-it", "")]
)
def test_did_you_mean(name: str, told: str) -> None:
    assert did_you_mean(name, ["seed", "data_dir"]) == told
