"""Data sets of all that the sources give: counts by strategy, queries kept for evaluation, and what fell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ragtime.errors import GenerationError, InvalidArgumentError
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample, load_examples
from tests.services.training_data_gen.real_sources import generator_of, real_sources
from tests.services.training_data_gen.test_generator import digest_of, toy


def examples_in(folder: Path) -> list[TrainingExample]:
    return load_examples(folder / "examples" / "00001.jsonl")


def test_without_a_count_a_data_set_has_all_that_there_is(tmp_path: Path) -> None:
    report = generator_of(tmp_path, real_sources(14)).generate_dataset(strategies=["query_based", "conversation_based"])
    alone = [
        len(list(generator_of(tmp_path / name, real_sources(14)).iter_training_data(strategy=name)))
        for name in ("query_based", "conversation_based")
    ]
    assert report.metrics.requested == 0
    assert report.metrics.balance.by_strategy["query_based"] == alone[0]
    # An example that two strategies make is there once.
    assert alone[0] < report.metrics.produced <= sum(alone)


def test_counts_by_strategy_are_limits_and_fewer_are_no_error(tmp_path: Path) -> None:
    report = generator_of(tmp_path, real_sources(14)).generate_dataset(
        strategies={"query_based": None, "synthetic": 25, "conversation_based": 10_000}
    )
    made = report.metrics.balance.by_strategy
    assert made["synthetic"] == 25
    assert 0 < made["conversation_based"] < 10_000
    assert sum(made.values()) == report.metrics.produced == sum(report.parts.values())


def test_none_at_all_is_an_error_that_says_why(tmp_path: Path) -> None:
    generator = generator_of(tmp_path, {"documents": real_sources(3)["documents"], "feedback": []})
    with pytest.raises(GenerationError, match=r"gave no example by query_based\. There is no record of feedback"):
        generator.generate_dataset(strategies={"query_based": None})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 5, "strategies": {"toy": 5}}, "give no count beside it"),
        ({"strategies": {}}, "at least one strategy"),
        ({"strategies": {"toy": 0}}, "count is at least 1"),
        ({"strategies": {"toi": None}}, "did you mean 'toy'"),
        ({"reserved_queries": "How?"}, "several texts"),
    ],
)
def test_wrong_counts_are_refused(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        toy(tmp_path).generate_dataset(**arguments)  # type: ignore[arg-type]


def test_reserved_queries_are_in_no_example_however_their_words_are_put(tmp_path: Path) -> None:
    sources = real_sources(14)
    first, second, third = (query["text"] for query in sources["queries"][:3])
    words = second.removeprefix("Where does the ").removesuffix(" hang?")
    reserved = [first.upper(), f"{words}: where is it hanging", "How long is a piece of string?"]
    report = generator_of(tmp_path, sources).generate_dataset(strategies="query_based", reserved_queries=reserved)
    queries = {example.query for example in examples_in(report.folder)}
    assert not {first, second} & queries
    assert third in queries
    assert report.metrics.rejected["its query is reserved for evaluation"] >= 2
    assert [stage.stage for stage in report.metrics.stages][:2] == ["make", "purpose"]


def test_the_original_of_a_follow_up_is_reserved_too(tmp_path: Path) -> None:
    sources = real_sources(14)
    question = "And how many amperes has its fuse?"
    free = generator_of(tmp_path, sources).generate_dataset(strategies="conversation_based")
    followed = [one for one in examples_in(free.folder) if one.metadata.get("original_query") == question]
    assert followed
    report = generator_of(tmp_path, sources).generate_dataset(
        strategies="conversation_based", reserved_queries=[question]
    )
    assert not {one.query for one in followed} & {one.query for one in examples_in(report.folder)}


def test_passages_only_leaves_out_answers_and_what_does_not_fit(tmp_path: Path) -> None:
    sources = real_sources(14)
    strategies = ["query_based", "conversation_based"]
    whole = generator_of(tmp_path, sources).generate_dataset(strategies=strategies)
    report = generator_of(tmp_path, sources).generate_dataset(strategies=strategies, passages_only=True)
    before, after = examples_in(whole.folder), examples_in(report.folder)
    assert {one.metadata.get("kind") for one in before} > {None}
    assert not all(one.is_positive for one in before)
    assert {one.metadata.get("kind") for one in after} == {None}
    assert all(one.is_positive for one in after)
    fell = report.metrics.rejected
    assert fell["its response is an answer, not a passage"] > 0
    assert fell["its response does not fit its query"] > 0


def test_given_examples_go_through_the_checks_as_they_are(tmp_path: Path) -> None:
    documents = real_sources(14)["documents"]
    mine = [
        TrainingExample(query=f"Who wipes the lamp of room {number}?", response=one["text"], metadata={"mine": number})
        for number, one in enumerate(documents)
    ]
    generator = generator_of(tmp_path, {"documents": documents, "examples": [*mine, mine[0], {"query": "?"}]})
    made = list(generator.iter_training_data(strategy="given_examples"))
    assert {(one.query, one.response, one.metadata["mine"]) for one in made} == {
        (one.query, one.response, one.metadata["mine"]) for one in mine
    }
    assert {one.strategy for one in made} == {"given_examples"}
    with pytest.raises(GenerationError, match="give them as examples="):
        generator_of(tmp_path, {"documents": documents}).generate_training_data(1, "given_examples")


# --- what fell ------------------------------------------------------------------------------------------------------


def test_a_few_of_those_that_fell_are_kept_with_their_reasons(tmp_path: Path) -> None:
    report = generator_of(tmp_path, real_sources(30)).generate_dataset(strategies=["query_based", "synthetic"])
    assert report.rejected
    counted = {(one.stage, one.strategy): one.rejected for one in report.metrics.stages}
    kinds: dict[tuple[str, str, str], int] = {}
    for one in report.rejected:
        assert one.reason in counted[one.stage, one.strategy]
        kinds[one.stage, one.strategy, one.reason] = kinds.get((one.stage, one.strategy, one.reason), 0) + 1
    assert max(kinds.values()) == 3
    assert any(one.response is None for one in report.rejected)  # fell before there was an example
    assert any(one.response is not None for one in report.rejected)


def test_those_kept_depend_on_content_alone_and_the_seed(tmp_path: Path) -> None:
    sources = real_sources(30)
    rng = random.Random(3)  # noqa: S311 - an order, no secret
    shuffled = {kind: rng.sample(some, len(some)) for kind, some in sources.items()}
    found = [
        generator_of(tmp_path / name, given, **changes)
        .generate_dataset(strategies=["query_based", "synthetic"])
        .rejected
        for name, given, changes in (
            ("one", sources, {}),
            ("other", shuffled, {"training_data__workers": 4}),
            ("seed", sources, {"seed": 7}),
        )
    ]
    assert found[0] == found[1] != found[2]


def test_personal_data_in_what_fell_are_blacked_out(tmp_path: Path) -> None:
    queries = [
        {"text": f"Does ada{number}@example.org know the lamp?", "judgements": {"gone": 1}} for number in range(9)
    ]
    generator = generator_of(tmp_path, {"documents": real_sources(4)["documents"], "queries": queries})
    assert list(generator.iter_training_data()) == []
    assert [one.query for one in generator.rejected] == ["Does [email] know the lamp?"] * len(generator.rejected)
    assert generator.rejected


def test_an_interrupted_run_keeps_the_same(tmp_path: Path) -> None:
    sources = real_sources(30)
    whole = generator_of(tmp_path / "whole", sources).generate_dataset(strategies="query_based", folder=tmp_path / "a")
    generator = generator_of(tmp_path / "stopped", sources)
    made = generator.iter_training_data()
    next(made)
    with pytest.raises(KeyboardInterrupt):
        made.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    report = generator_of(tmp_path / "stopped", sources).generate_dataset(
        strategies="query_based", folder=tmp_path / "b"
    )
    assert report.rejected == whole.rejected
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


def test_the_same_examples_with_another_account_are_another_data_set(tmp_path: Path) -> None:
    """A record that cannot be used changes the card, and must not be in the way of the data set that is there."""
    sources = real_sources(14)
    first = generator_of(tmp_path, sources).generate_dataset(strategies="query_based")
    sources["feedback"].append({"query": "How?", "rating": "none"})
    second = generator_of(tmp_path, sources).generate_dataset(strategies="query_based")
    assert examples_in(first.folder) == examples_in(second.folder)
    assert first.id != second.id


def test_the_account_of_a_plain_data_set_has_no_purpose(tmp_path: Path) -> None:
    report = TrainingDataGenerator(
        generator_of(tmp_path, {}).settings, documents=real_sources(14)["documents"]
    ).generate_dataset(10, "synthetic")
    assert "purpose" not in {stage.stage for stage in report.metrics.stages}
