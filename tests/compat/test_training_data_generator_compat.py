"""The wrapper of the old module: names, signatures, warnings, and which of two calls a name means."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import training_data_generator_compat as wrapper
from ragtime.config.settings import Settings
from ragtime.errors import GenerationError, InvalidArgumentError, RagtimeDeprecationWarning
from ragtime.services import training_data_gen
from ragtime.services.training_data_gen import TrainingExample
from tests.compat.training_fakes import NOW, Client, Store, entry, record
from training_data_generator_compat import TrainingDataGenerator, TrainingPair, create_training_data_generator

quiet = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

SOURCES = ["conport_client", "workspace_id", "chroma_db", "embedding_model"]
EXAMPLE = TrainingExample(query="How long are returns free?", response="Returns are free for 30 days.")


def _parameters(call: Any) -> list[tuple[str, object]]:
    return [(one.name, one.default) for one in inspect.signature(call).parameters.values() if one.name != "self"]


# --- names and signatures -----------------------------------------------------------------------------------------


def test_the_module_exports_old_and_new_names() -> None:
    assert sorted(wrapper.__all__) == [
        "GenerationMetrics",
        "TrainingDataGenerator",
        "TrainingExample",
        "TrainingPair",
        "create_training_data_generator",
    ]
    assert wrapper.TrainingExample is training_data_gen.TrainingExample
    assert wrapper.GenerationMetrics is training_data_gen.GenerationMetrics
    assert "Deprecated:" in (wrapper.__doc__ or "")
    assert issubclass(TrainingDataGenerator, training_data_gen.TrainingDataGenerator)


def test_signatures_are_the_old_ones() -> None:
    assert _parameters(TrainingDataGenerator)[:4] == [(name, None) for name in SOURCES]
    assert _parameters(create_training_data_generator) == [(name, None) for name in SOURCES]
    more = list(inspect.signature(TrainingDataGenerator).parameters.values())[4:]
    assert all(one.kind is one.KEYWORD_ONLY and one.default is not one.empty for one in more)
    folder = ("output_path", "./training_data")
    shape = ("output_format", "sentence_transformers")
    empty = inspect.Parameter.empty
    expected: dict[str, list[tuple[str, object]]] = {
        "get_feedback_data": [("days_back", 90), ("min_samples", 10)],
        "get_document_content": [("document_ids", empty)],
        "generate_positive_pairs": [("feedback", empty)],
        "generate_negative_pairs": [("feedback", empty)],
        "generate_hard_negative_pairs": [
            ("positive_pairs", empty),
            ("feedback_data", empty),
            ("num_hard_negatives", None),
        ],
        "validate_training_data": [("pairs", empty)],
        "export_training_data": [("pairs", empty), shape, folder],
        "generate_training_data": [("days_back", 90), ("include_hard_negatives", True), shape, folder],
    }
    assert {name: _parameters(getattr(TrainingDataGenerator, name)) for name in expected} == expected


@quiet
def test_attributes_and_their_values() -> None:
    client, store = Client(), Store()
    for made in (
        TrainingDataGenerator(client, "workspace", store, "mistral"),
        create_training_data_generator(client, "workspace", store, "mistral"),
        TrainingDataGenerator(
            conport_client=client, workspace_id="workspace", chroma_db=store, embedding_model="mistral"
        ),
    ):
        assert type(made) is TrainingDataGenerator
        assert isinstance(made, training_data_gen.TrainingDataGenerator)
        assert [getattr(made, name) for name in SOURCES] == [client, "workspace", store, "mistral"]
        assert (made.positive_rating_threshold, made.negative_rating_threshold) == (4, 2)
        assert (made.hard_negative_similarity_threshold, made.min_query_length) == (0.7, 3)
        assert made.max_pairs_per_query == 5


@quiet
def test_the_sources_may_be_changed() -> None:
    made = TrainingDataGenerator(clock=lambda: NOW)
    assert made.get_feedback_data() == []
    made.conport_client, made.workspace_id, made.chroma_db = Client(record(entry())), "w", Store({"d1": "Text."})
    assert [pair.document for pair in made.generate_positive_pairs(made.get_feedback_data())] == ["Text."]


@quiet
@pytest.mark.parametrize("store", [3, "text", {"get": 1}, object(), Store, MagicMock()])
def test_odd_sources_are_no_error_when_the_object_is_made(store: Any) -> None:
    made = TrainingDataGenerator(object(), "workspace", store, object())  # type: ignore[arg-type]  # odd on purpose
    assert made.get_feedback_data() == []
    assert made.get_document_content(["d1"]) == {}


# --- which call is meant ------------------------------------------------------------------------------------------


def _generator(**more: Any) -> TrainingDataGenerator:
    client = Client(record(entry()), record(entry(1, "How do I descale the big kettle?", ("d2",))))
    store = Store({"d1": "Use citric acid.", "d2": "Fill it to the line."})
    return TrainingDataGenerator(client, "workspace", store, "mistral", clock=lambda: NOW, **more)


@quiet
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((90,), {}),
        ((1,), {}),
        ((), {"days_back": 90}),
        ((90, False), {}),
        ((90, True, "json"), {}),
        ((90,), {"output_format": "json"}),
        ((), {"include_hard_negatives": False}),
    ],
)
def test_everything_else_means_the_old_generate(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    found: Any = _generator().generate_training_data(*arguments, **options)
    assert found["success"] is True
    assert found["feedback_period_days"] == (arguments or (90,))[0]


@quiet
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {"count": 1}),
        ((), {"count": 1, "strategy": "query_based", "validation": False}),
        ((1,), {"strategy": "query_based"}),
        ((1,), {"validation": False}),
        ((1, "query_based"), {"validation": False}),
    ],
)
def test_a_keyword_of_the_new_generate_means_the_new_one(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    made = _generator()
    found: Any = made.generate_training_data(*arguments, **options)
    assert [type(one) for one in found] == [TrainingExample]
    assert found[0].response in {"Use citric acid.", "Fill it to the line."}
    assert made.metrics.produced == 1
    assert not Path("training_data").exists()


@quiet
def test_the_new_generate_raises_as_the_new_class() -> None:
    with pytest.raises(InvalidArgumentError):
        _generator().generate_training_data(count=0)
    with pytest.raises(GenerationError):
        TrainingDataGenerator(Client(answer=OSError()), "workspace", Store()).generate_training_data(count=1)
    with pytest.raises(TypeError, match="count"):
        _generator().generate_training_data(strategy="query_based")  # type: ignore[call-overload]  # lacks the count
    with pytest.raises(TypeError, match="output_path"):
        _generator().generate_training_data(count=1, output_path="x")  # type: ignore[call-overload]  # of the old one
    with pytest.raises(TypeError, match="day_back"):
        _generator().generate_training_data(day_back=1)  # type: ignore[call-overload]  # misspelt


@quiet
def test_new_calls_read_the_old_sources_unless_others_are_given() -> None:
    documents = [{"id": "r", "text": "Returns are free for 30 days."}]
    queries = [{"id": "q", "text": "How long are returns free?", "judgements": {"r": 1}}]
    made = _generator(settings=Settings.isolated(), documents=documents, queries=queries)
    assert [one.response for one in made.generate_examples(5)] == ["Returns are free for 30 days."]
    sample = TrainingDataGenerator().generate_training_data(count=3)
    assert len(sample) == 3
    assert {type(one) for one in sample} == {TrainingExample}


@quiet
def test_a_workspace_is_needed_for_the_new_calls_too() -> None:
    with pytest.raises(GenerationError):
        TrainingDataGenerator(Client(record(entry())), None, Store({"d1": "Text."})).generate_training_data(count=1)


@quiet
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (([EXAMPLE],), {"path": "a.jsonl"}),
        ((), {"examples": [EXAMPLE], "path": "a.jsonl"}),
        (([EXAMPLE], "a.jsonl"), {"shape": "pairs"}),
        (([EXAMPLE], "a.jsonl"), {"format": "jsonl"}),
        (([EXAMPLE], "a.csv"), {"safe_for_spreadsheets": True}),
    ],
)
def test_a_keyword_of_the_new_export_means_the_new_one(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    report: Any = TrainingDataGenerator().export_training_data(*arguments, **options)
    assert isinstance(report, training_data_gen.ExportReport)
    assert (report.rows, report.path.is_file()) == (1, True)


@quiet
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        (("json",), {}),
        (("json", "out"), {}),
        ((), {"output_format": "json"}),
        ((), {"output_path": "out"}),
    ],
)
def test_everything_else_means_the_old_export(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    found: Any = TrainingDataGenerator().export_training_data([TrainingPair("q", "d", 1.0)], *arguments, **options)
    assert (found["success"], found["total_pairs"]) == (True, 1)
    named: Any = TrainingDataGenerator().export_training_data(pairs=[TrainingPair("q", "d", 1.0)])
    assert named["success"] is True


@quiet
def test_where_arguments_cannot_tell_the_old_call_is_meant() -> None:
    found = TrainingDataGenerator().export_training_data([TrainingPair("q", "d", 1.0)], "a.jsonl")
    assert found == {"success": False, "error": "Unsupported format: a.jsonl"}


@quiet
def test_the_old_export_of_new_examples_says_that_they_are_none() -> None:
    examples: Any = [EXAMPLE]
    assert TrainingDataGenerator().export_training_data(examples)["success"] is False
    with pytest.raises(TypeError):
        TrainingDataGenerator().export_training_data()  # type: ignore[call-overload]  # what to export is missing


# --- warnings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "use", "new"),
    [
        ("TrainingPair", lambda: TrainingPair("q", "d", 1.0), "TrainingExample"),
        ("TrainingDataGenerator", lambda: TrainingDataGenerator(), "TrainingDataGenerator"),  # noqa: PLW0108 - this line
        ("create_training_data_generator", lambda: create_training_data_generator(), "TrainingDataGenerator"),  # noqa: PLW0108
    ],
)
def test_each_use_warns_once_at_its_own_line(name: str, use: Any, new: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        use()
    (one,) = told
    assert one.category is RagtimeDeprecationWarning
    assert (one.filename, one.lineno) == (__file__, use.__code__.co_firstlineno)
    text = str(one.message)
    assert text.startswith(f"training_data_generator.{name} is deprecated since 1.0.0; use ")
    assert f"ragtime.services.training_data_gen.{new}" in text
    assert "It will be removed in 2.0.0." in text
    assert "ragtime migrate --to ragtime" in text


def test_nothing_warns_but_what_the_caller_makes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = _generator()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        feedback = made.get_feedback_data()
        positives = made.generate_positive_pairs(feedback)
        pairs = [*positives, *made.generate_negative_pairs(feedback)]
        pairs += made.generate_hard_negative_pairs(positives, feedback)
        assert len(pairs) == 3
        assert made.validate_training_data(pairs)["statistics"]["total_pairs"] == 3
        assert made.export_training_data(pairs)["success"]
        assert made.generate_training_data()["success"]
        assert made.generate_training_data(count=1)


def test_a_subclass_warns_once() -> None:
    class Own(TrainingDataGenerator):
        pass

    with pytest.warns(RagtimeDeprecationWarning) as told:
        Own()
    assert len(told) == 1


def test_importing_is_silent_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, json, training_data_generator_compat\n"
        "print(json.dumps([m for m in sys.argv[1].split() if m in sys.modules]))"
    )
    heavy = "torch transformers sentence_transformers pandas datasets pyarrow mcp httpx"
    command = [sys.executable, "-W", "error", "-c", code, heavy]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (json.loads(done.stdout), done.stderr, list(tmp_path.iterdir())) == ([], "", [])
