"""What holds for every built-in strategy: accounts that balance, bytes that nothing but input and settings changes."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtime.errors import BackendError
from ragtime.services.training_data_gen import GenerationError, GenerationMetrics, TrainingExample
from ragtime.storage.conport import JsonDecisionLog
from ragtime.testing import HashEncoder, ScriptedGenerator
from ragtime.testing.generators import ScriptedCall
from tests.services.training_data_gen.real_sources import STRATEGIES, generator_of, real_sources

# --- the ledger -------------------------------------------------------------------------------------------------

texts = st.one_of(
    st.sampled_from(["", " ", "How?", "How long are returns free?", "Returns are free for 30 days.", "a" * 58_000]),
    st.text(max_size=60),
)
ids = st.sampled_from(["a", "b", "c", "", " d", 7, None])
garbage = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just({}), st.just([]))
documents = st.fixed_dictionaries({"id": ids, "text": texts}, optional={"title": texts})
queries = st.fixed_dictionaries(
    {"id": ids, "text": texts}, optional={"judgements": st.dictionaries(ids, st.integers(-1, 3), max_size=3)}
)
feedback = st.fixed_dictionaries(
    {"query": texts, "response": texts, "rating": st.one_of(st.integers(0, 6), st.sampled_from(["5", "one", None]))},
    optional={"id": ids, "document_ids": st.lists(ids, max_size=3), "timestamp": st.one_of(st.text(max_size=9))},
)
turns = st.fixed_dictionaries(
    {"query": texts, "response": texts, "timestamp": st.none()}, optional={"document_ids": st.lists(ids, max_size=2)}
)
conversations = st.fixed_dictionaries({"history": st.lists(turns, max_size=4)})
examples = st.fixed_dictionaries(
    {"query": texts, "response": texts},
    optional={"label": st.floats(0, 1), "negatives": st.lists(texts, max_size=2), "weak": st.booleans()},
)


def records(kind: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any] | None]:
    return st.one_of(st.none(), st.lists(st.one_of(kind, garbage), max_size=8))


def check_account(metrics: GenerationMetrics, made: Sequence[TrainingExample]) -> None:
    """Raise unless every candidate is accounted for at every stage."""
    assert metrics.produced == len(made)
    assert metrics.candidates == metrics.produced + sum(metrics.rejected.values())
    assert len({example.id for example in made}) == len(made)
    for stage in [*metrics.stages, *metrics.sources]:
        assert stage.candidates == stage.kept + sum(stage.rejected.values())
    assert metrics.balance.positive + metrics.balance.negative == len(made)
    assert sum(metrics.balance.by_strategy.values()) == len(made)


sources_of_all_kinds = st.fixed_dictionaries(
    {
        "documents": records(documents),
        "queries": records(queries),
        "feedback": records(feedback),
        "conversations": records(conversations),
        "examples": records(examples),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=sources_of_all_kinds,
    strategy=st.sampled_from(STRATEGIES),
    count=st.integers(1, 12),
    validation=st.booleans(),
)
def test_the_account_balances_whatever_the_sources_hold(
    tmp_path: Path, sources: dict[str, list[Any] | None], strategy: str, count: int, validation: bool
) -> None:
    some = {name: value for name, value in sources.items() if value is not None} or {"documents": []}
    generator = generator_of(tmp_path, some)
    try:
        made = generator.generate_training_data(count, strategy, validation)
    except GenerationError as error:
        told = str(error)
        if generator.metrics.stages:
            assert f"gave {generator.metrics.produced:,} of {count:,} examples" in told
            for reason, number in generator.metrics.rejected.items():
                assert f"{number:,} × {reason}" in told
            assert generator.metrics.candidates == generator.metrics.produced + sum(generator.metrics.rejected.values())
        return
    assert len(made) == count
    check_account(generator.metrics, made)


def test_report_card_manifest_and_decision_log_tell_the_same(tmp_path: Path) -> None:
    log = JsonDecisionLog(tmp_path / "log")
    generator = generator_of(tmp_path, real_sources(), decision_log=log)
    report = generator.generate_dataset(60, STRATEGIES)
    manifest = json.loads((report.folder / "manifest.json").read_text(encoding="utf-8"))
    told = report.metrics.repeatable().model_dump(mode="json", exclude={"performance"})
    assert manifest["metrics"] == told
    (data,) = log.custom_data("TrainingRuns")
    assert json.loads(json.dumps(data.value)) == {**told, "performance": None}
    assert sum(manifest["parts"].values()) == report.metrics.produced == 60
    card = (report.folder / "README.md").read_text(encoding="utf-8")
    for stage in report.metrics.stages:
        assert f"| {stage.strategy} " in card
    # A progress entry of the run and one of each stage, all linked to the decision.
    entries = log.progress()
    assert len(entries) == 1 + len({stage.stage for stage in report.metrics.stages})
    assert {entry.status for entry in entries} == {"DONE"}
    (decision,) = log.decisions()
    assert sum(link.source.kind == "progress_entry" for link in log.links(decision.ref)) == len(entries)


# --- the same bytes ---------------------------------------------------------------------------------------------


def dumped(made: Sequence[TrainingExample]) -> str:
    return "\n".join(example.model_dump_json() for example in made)


@pytest.mark.parametrize("encoder", [None, HashEncoder()], ids=["words", "vectors"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neither_workers_nor_the_order_of_the_input_change_a_byte(tmp_path: Path, strategy: str, encoder: Any) -> None:
    sources = real_sources(12)
    shuffled = {
        name: random.Random(3).sample(some, len(some))  # noqa: S311 - repeatable on purpose
        for name, some in sources.items()
    }
    state = random.getstate()
    told = []
    for number, (some, workers) in enumerate([(sources, 1), (sources, 2), (shuffled, 4)]):
        generator = generator_of(tmp_path / str(number), some, encoder=encoder, training_data__workers=workers)
        made = list(generator.iter_training_data(strategy=strategy))
        told.append((dumped(made), generator.metrics.repeatable()))
    assert random.getstate() == state
    assert told[0][0]
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_smaller_number_is_the_beginning_of_a_larger_one(tmp_path: Path, strategy: str) -> None:
    generator = generator_of(tmp_path, real_sources(12))
    whole = list(generator.iter_training_data(strategy=strategy))
    assert generator.generate_training_data(len(whole) // 2, strategy) == whole[: len(whole) // 2]
    assert generator.generate_training_data(1, strategy) == whole[:1]


HASHED = """
import sys
from pathlib import Path
from tests.services.training_data_gen.real_sources import STRATEGIES, generator_of, real_sources
generator = generator_of(Path(sys.argv[1]), real_sources(8))
for strategy in STRATEGIES:
    for example in generator.iter_training_data(strategy=strategy):
        print(example.model_dump_json())
    print(generator.metrics.repeatable().model_dump_json())
"""


def test_other_hash_seeds_change_no_byte(tmp_path: Path) -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", HASHED, str(tmp_path / seed)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(told) == 1
    assert all(told)


# --- a language model that fails --------------------------------------------------------------------------------


def flaky(call: ScriptedCall) -> str | BackendError:
    """Answer well, with garbage, or not at all, by the content of the call alone."""
    said = str(call.messages[-1])
    fate = sum(said.encode()) % 4
    if fate == 0:
        return BackendError("the model is gone")
    if fate == 1:
        return "\0{]] I am sorry," + "\ud800" * 3
    if "fuse" in said and "amperes" in said and "Conversation" in said:
        return "How many amperes has the fuse?"
    return json.dumps(["Where is the switch of this room found?", "How often is the lamp wiped with a cloth?"])


@pytest.mark.parametrize("strategy", ["synthetic", "augmentation", "conversation_based"])
def test_a_model_that_fails_half_of_the_time_costs_no_example(tmp_path: Path, strategy: str) -> None:
    sources = real_sources(20)
    wanted = len(list(generator_of(tmp_path / "without", sources).iter_training_data(strategy=strategy)))
    generator = generator_of(tmp_path / "with", sources, generator=ScriptedGenerator(flaky))
    made = list(generator.iter_training_data(strategy=strategy))
    check_account(generator.metrics, made)
    assert len(made) >= 0.8 * wanted
    assert any("language model" in note for note in generator.metrics.notes)
    passages = {one for example in made for one in example.lineage.document_ids}
    assert len(passages) == 20
