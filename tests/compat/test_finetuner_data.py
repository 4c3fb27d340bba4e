"""What the old tuner reads, and what it holds out; §9 of the old calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime_compat.finetuning_records import InputExample
from ragtime_compat.finetuning_split import hold_out
from tests.compat.finetuning_samples import TOPICS, Pair, bad_pairs, good_pairs, tuner, write_csv
from training_data_generator_compat import TrainingDataGenerator, TrainingPair

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")


def _pairs(examples: list[InputExample]) -> list[tuple[str, str, float]]:
    return [(one.texts[0], one.texts[1], one.label) for one in examples]


def _read(tmp_path: Path, content: str, format_type: str = "csv", **config: Any) -> Any:
    path = tmp_path / f"data.{format_type}"
    path.write_text(content, encoding="utf-8", newline="")
    return tuner(tmp_path / "models", loaded=False, **config).load_training_data(path, format_type)


@pytest.mark.parametrize(("output_format", "format_type"), [("sentence_transformers", "csv"), ("json", "json")])
def test_load_training_data_reads_what_the_generator_exports(
    tmp_path: Path, output_format: str, format_type: str
) -> None:
    given_pairs = [*good_pairs(), *bad_pairs()]
    pairs = [TrainingPair(query, document, float(label)) for query, document, label in given_pairs]
    done = TrainingDataGenerator().export_training_data(pairs, output_format, str(tmp_path / "data"))
    train, val = tuner(tmp_path, loaded=False).load_training_data(done["files"][0], format_type)
    assert (len(train), len(val)) == (16, 4)
    assert sorted(_pairs([*train, *val])) == sorted(given_pairs)
    assert all(type(one.label) is float and len(one.texts) == 2 for one in train)


@pytest.mark.parametrize(
    ("content", "format_type"),
    [
        ("query,document\na,b\n", "csv"),  # columns
        ("", "csv"),
        ("query,document,label\na,b,good\n", "csv"),
        ("query,document,label\na,b,nan\n", "csv"),
        ("query,document,label\na,b\n", "csv"),
        ('{"training_pairs": [', "json"),  # broken JSON
        ('{"pairs": []}', "json"),
        ('{"training_pairs": [{"query": "a", "document": "b"}]}', "json"),  # missing keys
        ('{"training_pairs": [{"query": null, "document": "b", "label": 1}]}', "json"),
        ('{"training_pairs": [7]}', "json"),
        ("[]", "json"),
        ("[" * 100_000, "json"),
        ('{"training_pairs": [{"query": "a", "document": "b", "label": 1%s}]}' % ("0" * 400), "json"),
        ("query,document,label\na,b,1\n", "xml"),  # format
    ],
)
def test_load_training_data_gives_two_empty_lists_on_any_failure(
    tmp_path: Path, content: str, format_type: str
) -> None:
    assert _read(tmp_path, content, format_type) == ([], [])


def test_load_training_data_of_no_file_gives_two_empty_lists(tmp_path: Path) -> None:
    assert tuner(tmp_path, loaded=False).load_training_data(tmp_path / "nowhere.csv") == ([], [])
    (tmp_path / "latin.csv").write_bytes(b"query,document,label\n\xe9,b,1\n")
    assert tuner(tmp_path, loaded=False).load_training_data(str(tmp_path / "latin.csv")) == ([], [])


@pytest.mark.parametrize("share", [None, "x", float("inf"), float("nan")])
def test_load_training_data_with_a_share_that_is_none_gives_two_empty_lists(tmp_path: Path, share: Any) -> None:
    path = write_csv(tmp_path / "data.csv", good_pairs())
    assert tuner(tmp_path, loaded=False, validation_split=share).load_training_data(path) == ([], [])


def test_the_seed_may_be_a_number_of_numpy(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", [*good_pairs(), *bad_pairs()])
    held = [tuner(tmp_path, loaded=False, random_seed=seed).load_training_data(path) for seed in (7, np.int64(7))]
    assert held[0] == held[1] != ([], [])


def test_load_training_data_logs_no_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _read(tmp_path, "query,document,label\nsecret question,b,secret label\n")
    assert "cannot be read" in caplog.text
    assert not any("secret" in str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("text", ["NA", "None", "null", "nan", ""])
def test_texts_that_look_like_nothing_stay_texts(tmp_path: Path, text: str) -> None:
    # M7: they became nan
    train, _ = _read(tmp_path, f"query,document,label\n{text},{text},1\n")
    assert train[0].texts == [text, text]


def test_a_document_can_be_long_and_hold_line_breaks(tmp_path: Path) -> None:
    document = "word\n" * 50_000
    train, _ = _read(tmp_path, f'query,document,label,more\r\na,"{document}",0.5,x\r\n')
    assert train[0].texts == ["a", document]
    assert train[0].label == 0.5


@pytest.mark.parametrize(("share", "held"), [(0.2, 4), (0.29, 5), (0.0, 0), (-1.0, 0), (1.0, 20), (2.0, 20)])
def test_validation_holds_the_whole_part_of_its_share(tmp_path: Path, share: float, held: int) -> None:
    path = write_csv(tmp_path / "data.csv", [*good_pairs(), *bad_pairs()])
    train, val = tuner(tmp_path, loaded=False, validation_split=share).load_training_data(path)
    assert (len(train), len(val)) == (20 - held, held)


def test_validation_has_both_labels_though_the_file_begins_with_one(tmp_path: Path) -> None:
    # M1: it was the head of the file
    path = write_csv(tmp_path / "data.csv", [*good_pairs(), *bad_pairs()])
    _, val = tuner(tmp_path, loaded=False).load_training_data(path)
    assert sorted(one.label for one in val) == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("count", [10, 60])
def test_validation_has_both_labels_though_questions_of_one_kind_are_near_duplicates(count: int) -> None:
    # M1: what hung together was too large for the validation data, and what was left had one label
    pairs = [
        (f"how long does the delivery of order {place} take", f"order {place} needs three days")
        for place in range(count)
    ]
    other = [
        (f"what is the policy number {place} for returns", f"policy {place} allows thirty days")
        for place in range(count)
    ]
    examples = [InputExample(texts=[*one], label=1.0) for one in pairs]
    examples += [InputExample(texts=[*one], label=0.0) for one in other]
    for seed in range(3):
        train, held = hold_out(examples, 2 * count // 5, seed=seed)
        assert 2 * sum(one.label for one in held) == len(held) == 2 * count // 5
        assert not {text for one in train for text in one.texts} & {text for one in held for text in one.texts}


def test_a_query_is_not_divided_for_the_sake_of_both_labels() -> None:
    # M2 weighs more than M1
    examples = [InputExample(texts=["the only good question", f"{topic} answer"], label=1.0) for topic in TOPICS]
    examples += [InputExample(texts=[f"{topic} {topic}", f"{topic} desk"], label=0.0) for topic in TOPICS]
    train, held = hold_out(examples, 4, seed=42)
    assert len(held) == 4
    assert not {one.texts[0] for one in train} & {one.texts[0] for one in held}


def test_validation_shares_no_text_with_training(tmp_path: Path) -> None:
    # M2: the same pair or query was in both
    pairs = [(f"how does {topic} work", f"{topic} {word}", 1.0) for topic in TOPICS for word in ("desk", "phone")]
    path = write_csv(tmp_path / "data.csv", [*pairs, *pairs])
    train, val = tuner(tmp_path, loaded=False).load_training_data(path)
    assert len(val) == 8
    assert not {text for one in train for text in one.texts} & {text for one in val for text in one.texts}


def test_the_seed_and_nothing_else_chooses(tmp_path: Path) -> None:
    pairs = [*good_pairs(), *bad_pairs()]
    one = write_csv(tmp_path / "one.csv", pairs)
    other = write_csv(tmp_path / "other.csv", reversed(pairs))

    def held(path: Path, seed: int) -> list[Pair]:
        return sorted(_pairs(tuner(tmp_path, loaded=False, random_seed=seed).load_training_data(path)[1]))

    assert held(one, 42) == held(one, 42) == held(other, 42)
    assert len({tuple(held(one, seed)) for seed in range(5)}) > 1


EXAMPLES = st.lists(
    st.builds(
        lambda query, document, label: InputExample(texts=[query, document], label=label),
        st.sampled_from(["alpha", "beta", "gamma", "delta", ""]),
        st.sampled_from(["one", "two", "three", "four", "five"]),
        st.sampled_from([0.0, 1.0]),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(EXAMPLES, st.floats(0, 1), st.integers(0, 3))
def test_any_data_are_cut_exactly(examples: list[InputExample], share: float, seed: int) -> None:
    count = int(len(examples) * share)
    train, held = hold_out(examples, count, seed=seed)
    assert len(held) == count
    places = {id(one): place for place, one in enumerate(examples)}
    assert [places[id(one)] for one in train] == sorted(places[id(one)] for one in train)
    assert sorted(places[id(one)] for one in (*train, *held)) == list(range(len(examples)))


@settings(max_examples=40)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.integers(0, 3))
def test_queries_are_whole_where_the_number_can_be_reached(sizes: list[int], seed: int) -> None:
    words = "amber birch cedar daisy elder fern grape hazel iris jasmine kelp lotus".split()
    examples = [
        InputExample(texts=[f"{words[place]} {words[place] * 2}", f"{words[place]} number {number}"], label=1.0)
        for place, size in enumerate(sizes)
        for number in range(size)
    ]
    count = sizes[0]  # one query alone makes the number
    train, held = hold_out(examples, count, seed=seed)
    assert len(held) == count
    assert not {one.texts[0] for one in train} & {one.texts[0] for one in held}


def test_near_duplicates_are_on_one_side() -> None:
    long = "please tell me in detail how the return of a damaged kettle to the shop works for customers "
    examples = [InputExample(texts=[f"{long}{end}", f"{end} answer {end}"], label=1.0) for end in ("", "a", "b", "c")]
    examples += [InputExample(texts=[f"{topic} {topic} {topic}", f"{topic} desk"], label=1.0) for topic in TOPICS[:4]]
    for seed in range(5):
        train, held = hold_out(examples, 4, seed=seed)
        assert len({one.texts[0].startswith(long[:20]) for one in held}) == 1, seed
        assert len(train) == 4


def test_one_question_alone_is_divided_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    examples = [InputExample(texts=["the only question", "the only answer"], label=1.0) for _ in range(10)]
    train, held = hold_out(examples, 2, seed=42)
    assert (len(train), len(held)) == (8, 2)
    assert "share pairs" in caplog.text
