"""Training examples: what they refuse, what identifies them, and that nothing is lost in JSON."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.services.training_data_gen import Lineage, TrainingExample

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40).filter(
    str.strip
)
EXAMPLES = st.builds(
    TrainingExample,
    query=TEXTS,
    response=TEXTS,
    context=st.none() | TEXTS,
    negatives=st.lists(TEXTS, max_size=3).map(tuple),
    label=st.floats(0, 1),
    weight=st.floats(0.01, 10),
    strategy=st.none() | st.sampled_from(["query_based", "synthetic"]),
    weak=st.booleans(),
    metadata=st.dictionaries(st.text("abc", max_size=3), st.integers() | st.lists(st.booleans()), max_size=3),
    lineage=st.builds(
        Lineage,
        source=st.sampled_from(["documents", "feedback"]),
        document_ids=st.just(("d1", "d2")),
        span=st.none() | st.tuples(st.integers(0, 5), st.integers(5, 9)),
        seed=st.none() | st.integers(0, 99),
    ),
)


@given(EXAMPLES)
@settings(max_examples=100)
def test_json_keeps_everything(example: TrainingExample) -> None:
    again = TrainingExample.model_validate_json(example.model_dump_json())
    assert again == example
    assert again.id == example.id
    assert TrainingExample(**example.model_dump(mode="json")) == example


@pytest.mark.parametrize("query", ["", " ", "\n\t\u2003"])
def test_a_blank_query_says_so(query: str) -> None:
    with pytest.raises(ValidationError, match="Query cannot be empty"):
        TrainingExample(query=query, response="x")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"response": " "}, "Response cannot be empty"),
        ({"query": "a\ud800"}, "query"),
        ({"response": "a\0"}, "response"),
        ({"negatives": ["a", " "]}, r"negatives\.1"),
        ({"label": 1.5}, "label"),
        ({"label": float("nan")}, "label"),
        ({"weight": 0}, "weight"),
        ({"strategy": ""}, "strategy"),
        ({"colour": "red"}, "colour"),
        ({"lineage": {"span": (3, 2), "document_ids": ["d"]}}, "span"),
        ({"lineage": {"span": (1, 2)}}, "span"),
        ({"id": "of something else"}, "id is not that of the content"),
    ],
)
def test_wrong_fields_are_named_and_not_quoted(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named) as caught:
        TrainingExample(**{"query": "canary", "response": "canary", **fields})
    assert "canary" not in str(caught.value)


def test_the_id_is_that_of_the_content() -> None:
    example = TrainingExample(query="q", response="r", negatives=("n",))
    same = TrainingExample(query="q", response="r", negatives=("n",), strategy="other", weight=2, metadata={"a": 1})
    assert example.id == same.id
    others = [{"query": "p"}, {"response": "s"}, {"context": "c"}, {"negatives": ()}, {"label": 0.5}]
    assert len({example.id, *(example.model_copy(update=change).id for change in others)}) == 6


def test_a_blank_context_is_none() -> None:
    assert TrainingExample(query="q", response="r", context=" ").context is None


def test_an_example_cannot_be_changed() -> None:
    example = TrainingExample(query="q", response="r", metadata={"a": 1})
    with pytest.raises(ValidationError):
        example.query = "p"
    with pytest.raises(TypeError):
        example.metadata["a"] = 2  # type: ignore[index]
    assert len({example, example.model_copy()}) == 1
