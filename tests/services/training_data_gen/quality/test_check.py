"""Which examples are fit for training, and why the others are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtime.records.training import Lineage
from ragtime.services.training_data_gen import quality
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.quality import QualityCheck, RedactionCheck
from ragtime.services.training_data_gen.tools import Tools

MakeTools = Callable[..., Tools]

CORPUS = {
    "returns": "Returns are free for 30 days. Print the label and hand the box to any post office.",
    "drum": "The drum of the roaster is made of steel, and you should clean it with a dry brush after each roast.",
    "filter": "The filter has to be changed when the light turns red, or after fifty roasts at the latest.",
}


def reason(tools: Tools, **fields: Any) -> str:
    given = {"query": "How do I clean the drum?", "response": CORPUS["drum"], **fields}
    (verdict,) = QualityCheck(tools).check([TrainingExample(**given)])
    assert (verdict.example is None) == bool(verdict.reason)
    return verdict.reason


def test_a_good_example_passes_as_it_is(make_tools: MakeTools) -> None:
    example = TrainingExample(query="How do I clean the drum?", response=CORPUS["drum"])
    (verdict,) = QualityCheck(make_tools(CORPUS)).check([example])
    assert verdict.example is example
    assert QualityCheck.stage == "quality"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"query": "ab"}, "the query is too short"),
        ({"query": "why? " * 500}, "the query is too long"),
        ({"query": "?!... --"}, "the query has no word"),
        ({"response": "Yes."}, "the passage is too short"),
        ({"response": "roast it. " * 500}, "the passage is too long"),
        (
            {"query": "Wie kann ich die Trommel reinigen, wenn sie nicht aus dem Gerät geht?"},
            "the query is in no language of the corpus",
        ),
        ({"query": "ドラムを掃除するにはどうすればいいですか"}, "the query is in no language of the corpus"),
        (
            {"response": "Nettoyez le tambour avec une brosse, et ne le mettez pas dans l'eau, car il est en acier."},
            "the passage is in no language of the corpus",
        ),
        (
            {"response": "We use cookies. Accept all cookies or manage cookies. Read our cookie policy."},
            "the passage is boilerplate",
        ),
        ({"response": "Home | Products | About us | Contact | Imprint | Jobs"}, "the passage is boilerplate"),
        ({"response": "Add to basket\n" * 8 + "The drum is of steel."}, "the passage is boilerplate"),
        (
            {"query": "the drum of the roaster is made of steel, and you should clean it with"},
            "the query is copied from the passage",
        ),
    ],
)
def test_what_teaches_nothing_falls_by_name(make_tools: MakeTools, fields: dict[str, Any], expected: str) -> None:
    assert reason(make_tools(CORPUS), **fields) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"query": "kubectl get pods -n kube-system --watch"},
        {"query": "TypeError: 'NoneType' object is not iterable"},
        {"query": "Bialetti crema e gusto"},
        {"response": "def drum(x):\n    return x\n\nfor y in range(3):\n    print(drum(y))"},
        {"response": "| model | price |\n| --- | --- |\n| drum | 749 |\n| air | 349 |"},
        {"response": "Sites that use cookies must say so: a banner that counts visitors needs no consent in the EU."},
        {"query": "drum of the roaster"},
        {"query": CORPUS["drum"][:80], "metadata": {"method": "crop"}},
    ],
)
def test_what_only_looks_odd_passes(make_tools: MakeTools, fields: dict[str, Any]) -> None:
    """Code, names, tables, headings, and crops that are copied on purpose."""
    assert reason(make_tools(CORPUS), **fields) == ""


def test_limits_are_those_of_the_settings(make_tools: MakeTools) -> None:
    assert reason(make_tools(CORPUS, min_query_characters=50)) == "the query is too short"
    assert reason(make_tools(CORPUS, max_passage_characters=50)) == "the passage is too long"


def answer(text: str, *documents: str) -> dict[str, Any]:
    return {"response": text, "weak": True, "metadata": {"kind": "answer"}, "lineage": Lineage(document_ids=documents)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            answer("I'm sorry, but I don't have any information about the drum."),
            "the answer says that it does not know",
        ),
        (answer("Which roaster are you talking about?"), "the answer only asks back"),
        (
            answer("Penguins live in colonies on the southern coast and eat fish.", "drum"),
            "the documents do not support the answer",
        ),
        (answer("Clean the steel drum with a dry brush after every roast.", "drum"), ""),
        (answer("Penguins live in colonies on the southern coast and eat fish."), ""),
        (answer("Clean it with a brush. Does it still smell?", "drum"), ""),
    ],
)
def test_answers_must_say_something_that_holds(make_tools: MakeTools, fields: dict[str, Any], expected: str) -> None:
    assert reason(make_tools(CORPUS), **fields) == expected


def test_a_guessed_passage_is_no_answer(make_tools: MakeTools) -> None:
    """A recovered passage may say what an answer may not."""
    texts = {"a": "I do not know of any country without a border, the traveller said, and closed the book."}
    fields = {"response": texts["a"], "weak": True, "lineage": Lineage(document_ids=("a",))}
    assert reason(make_tools(texts), **fields) == ""


def test_personal_data_go_from_all_texts(make_tools: MakeTools) -> None:
    """Equal values have one name in query, passage and context, and a passage is the same text wherever it stands."""
    passage = "Write to help@example.org or boss@example.org about the drum."
    example = TrainingExample(
        query="is Boss@example.org still there? I am kim@example.org",
        response=passage,
        context="User: I am kim@example.org",
        negatives=("Call +44 20 7946 0958 about the filter.", "Nothing to see here, at all."),
        metadata={"original_query": "and boss@example.org?", "method": "m"},
        lineage=Lineage(document_ids=("x",)),
    )
    check = QualityCheck(make_tools(CORPUS))
    (verdict,) = check.check([example])
    made = verdict.example
    assert made is not None
    assert made.response == "Write to [email] or [email 2] about the drum."
    assert made.query == "is [email 2] still there? I am [email 3]"
    assert made.context == "User: I am [email 3]"
    assert made.negatives == ("Call [phone] about the filter.", "Nothing to see here, at all.")
    assert made.metadata == {"original_query": "and [email 2]?", "method": "m", "redacted": {"email": 6, "phone": 1}}
    assert made.lineage == example.lineage
    (again,) = check.check([TrainingExample(query="who helps with the drum", response=passage)])
    assert again.example is not None
    assert again.example.response == made.response


def test_what_is_said_beside_negatives_goes_with_one_that_becomes_the_response(make_tools: MakeTools) -> None:
    example = TrainingExample(
        query="who helps with the drum",
        response="Write to help@example.org about the drum.",
        negatives=("Nothing to see here, at all.", "Write to boss@example.org about the drum.", "Nor here, at all."),
        metadata={"negative_ids": ["a", "b", "c"], "negative_scores": [0.3, 0.2, 0.1], "negative_grades": ["hard"] * 3},
    )
    (verdict,) = RedactionCheck(make_tools(CORPUS)).check([example])
    assert verdict.example is not None
    assert verdict.example.negatives == ("Nothing to see here, at all.", "Nor here, at all.")
    assert verdict.example.metadata == {
        "negative_ids": ["a", "c"],
        "negative_scores": [0.3, 0.1],
        "negative_grades": ["hard", "hard"],
        "redacted": {"email": 2},
    }


def test_without_the_extra_it_says_what_is_not_looked_for(
    make_tools: MakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] in {"stdnum", "phonenumbers"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Blocked(), *sys.meta_path])
    tools = make_tools(CORPUS)
    (verdict,) = QualityCheck(tools).check([TrainingExample(query="is it kim@example.org?", response=CORPUS["drum"])])
    assert verdict.example is not None
    assert verdict.example.query == "is it [email]?"
    (note,) = tools.notes
    assert "phone numbers, payment cards and IBANs are not looked for" in note
    assert "ragtime-gal[data]" in note


class _Blocked:
    """Finds no package of the extra, as where it is not installed."""

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name.partition(".")[0] in {"stdnum", "phonenumbers"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])


TEXTS = st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    query=TEXTS, response=TEXTS, context=st.none() | TEXTS, negatives=st.lists(TEXTS, max_size=3), weak=st.booleans()
)
def test_any_example_gets_a_verdict(
    make_tools: MakeTools, query: str, response: str, context: str | None, negatives: list[str], weak: bool
) -> None:
    """One verdict each, which is the same beside other examples and a second time."""
    example = TrainingExample(query=query, response=response, context=context, negatives=negatives, weak=weak)
    check = QualityCheck(make_tools(CORPUS))
    first, second = check.check([example, example])
    assert first == second
    assert (first.example is None) == bool(first.reason)
    if first.example is not None:
        assert check.check([first.example])[0].reason in {"", "the passage is too short"}


def test_the_package_names_its_parts() -> None:
    assert sorted(quality.__all__) == quality.__all__


def test_a_part_of_a_passage_that_asks_is_no_answer_that_asks_back(make_tools: MakeTools) -> None:
    faq = {"faq": "Which filter do you need? Turn the machine over. Its number is on the label."}
    fields = {
        "query": "where is the number of the machine",
        "response": "Which filter do you need?",
        "weak": True,
        "lineage": Lineage(document_ids=("faq",)),
    }
    assert reason(make_tools(faq), **fields) == "the answer only asks back"
    assert reason(make_tools(faq), **fields, metadata={"method": "crop"}) == ""
