"""What a recipe trains on, and that it trains by the public interface: with a tiny model, for real."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.services.training_data_gen import TrainingExample
from ragtime.testing import tiny_model
from tests.benchmarks.quality_data import judged_examples, page_of
from tests.benchmarks.quality_lines import Line, lines_of, without_line
from tests.benchmarks.quality_recipe import (
    Method,
    Recipe,
    examples_of,
    hold_out,
    one_of_each_first,
    page_questions,
    tune,
    with_negatives,
)

_VERBS = ("List", "Remove", "Rename", "Compress", "Sort", "Count")
_THINGS = ("photos", "invoices", "recipes", "letters", "songs", "maps", "notes", "tickets")


def _pages(count: int = 8) -> list[Document]:
    pages = []
    for number, thing in enumerate(_THINGS[:count]):
        lines = [f"Manage {thing} of a small office."]
        lines += [f"{verb} all the {thing} by date: {thing} --{verb.lower()} {number}" for verb in _VERBS]
        pages.append(Document(id=f"page/{thing}", title=thing, text="\n".join(lines)))
    return pages


def _judged(pages: list[Document], each: int = 2) -> list[TrainingExample]:
    queries = {f"{page.title}#{n}": f"{_VERBS[n]} old {page.title} at night" for page in pages for n in range(each)}
    judged = RetrievalSet.from_documents(pages, queries, {key: {f"page/{key.split('#')[0]}": 1} for key in queries})
    return judged_examples(judged, judged.queries)


def _settings(place: Path, **fields: object) -> Settings:
    return Settings.isolated(data_dir=place, logging__progress="off", **fields)


# --- lines ----------------------------------------------------------------------------------------------------------


def test_a_line_is_what_stands_before_the_colon_from_four_words_on() -> None:
    text = "About: the tool and more of it.\nList the files here: ls\nShow help: ls --help\nNo colon in this line\n"
    assert lines_of(f"{text}Print a: b: c\nPrint all of it: key: value") == [
        Line(1, "List the files here"),
        Line(5, "Print all of it"),
    ]


def test_a_line_is_taken_out_and_nothing_else() -> None:
    page = Document(id="p", title="tool", text="About.\nList the files here: ls\nList the other ones: ls -a")
    assert without_line(page, 1) == "tool\nAbout.\nList the other ones: ls -a"
    assert without_line(Document(id="p", text="About.\nList them: ls"), 1) == "About."


def test_lines_ask_for_the_rest_of_their_page_or_for_all_of_it(tmp_path: Path) -> None:
    pages = _pages()
    contents = {page.id: page.content for page in pages}
    for method, is_in_place in (("line", False), ("line in place", True)):
        made = page_questions(pages, method, 12, _settings(tmp_path), checked=False)  # type: ignore[arg-type]
        assert [len({page_of(one) for one in made[:8]}), len(made)] == [8, 12]
        for one in made:
            assert one.query in contents[page_of(one)]
            assert (one.response == contents[page_of(one)]) is is_in_place
            assert (one.query in one.response) is is_in_place


def test_a_page_without_such_lines_gives_no_question(tmp_path: Path) -> None:
    pages = [*_pages(2), Document(id="bare", title="bare", text="Nothing to see here, move along please.")]
    made = page_questions(pages, "line", 100, _settings(tmp_path), checked=False)
    assert Counter(page_of(one) for one in made) == {"page/photos": 4, "page/invoices": 4}


@pytest.mark.parametrize("method", ["heading", "cloze", "crop", "question", "keywords"])
def test_methods_of_the_generator_are_told_apart(tmp_path: Path, method: Method) -> None:
    pages = [
        Document(
            id=str(number),
            title=f"The {thing} of the office",
            text=f"The {thing} are kept in the cellar of house {number}. They were bought in the year 19{number}0. "
            f"Nobody may take the {thing} home without a note from room {number}. Ask the porter for the only key.",
        )
        for number, thing in enumerate(_THINGS, start=1)
    ]
    made = page_questions(pages, method, 3, _settings(tmp_path), checked=False)
    assert 1 <= len(made) <= 3
    assert {one.metadata["method"] for one in made} == {method}


# --- what is put together -------------------------------------------------------------------------------------------


def test_of_each_page_one_comes_before_any_page_has_two() -> None:
    judged = _judged(_pages(3))
    assert [page_of(one) for one in judged] == [f"page/{thing}" for thing in _THINGS[:3] for _ in range(2)]
    ordered = one_of_each_first(judged)
    assert ordered == [judged[place] for place in (0, 2, 4, 1, 3, 5)]


def test_what_is_held_out_shares_no_page_with_the_rest() -> None:
    judged = _judged(_pages())
    training, aside = hold_out(judged, 3)
    assert len(aside) == 4  # two pages of two questions
    assert not {page_of(one) for one in training} & {page_of(one) for one in aside}
    assert sorted(one.id for one in [*training, *aside]) == sorted(one.id for one in judged)
    assert hold_out(judged, 0) == (judged, [])
    assert hold_out(list(reversed(judged)), 3)[1] == list(reversed(aside))


def test_a_recipe_without_ingredients_trains_on_the_judged_pairs(tmp_path: Path) -> None:
    judged = _judged(_pages())
    assert examples_of(Recipe(), judged, _pages(), _settings(tmp_path)) == {"judged": judged}


def test_copies_leave_another_line_out_each_and_have_the_weight_of_their_pair(tmp_path: Path) -> None:
    pages = _pages(3)
    recipe = Recipe(judged_copies=2, judged_weight=2.0)
    made = examples_of(recipe, _judged(pages), pages, _settings(tmp_path))
    assert {name: len(some) for name, some in made.items()} == {"judged": 6, "copies": 12}
    assert {one.weight for some in made.values() for one in some} == {2.0}
    assert len({one.response for one in made["copies"]} - {page.content for page in pages}) >= 6
    by_query = Counter(one.query for one in made["copies"])
    assert set(by_query.values()) == {2}


def test_negatives_are_given_to_those_that_they_were_mined_for() -> None:
    first, second = _judged(_pages(1))
    mined = TrainingExample(query=first.query, response=first.response, negatives=("other", "another"))
    found = with_negatives([first, second], [mined], 1)
    assert [one.negatives for one in found] == [("other",), ()]


def test_negatives_mined_by_words_are_other_pages(tmp_path: Path) -> None:
    pages = _pages()
    made = examples_of(Recipe(negatives="words", negatives_each=2), _judged(pages), pages, _settings(tmp_path))
    contents = {page.content for page in pages}
    assert any(one.negatives for one in made["judged"])
    for one in made["judged"]:
        assert len(one.negatives) <= 2
        assert {*one.negatives} <= contents - {one.response}


# --- the recipe itself ----------------------------------------------------------------------------------------------


def test_a_recipe_comes_back_from_json() -> None:
    config = FineTuningConfig(learning_rate=2e-4, num_epochs=2)
    recipe = Recipe(config=config, made=(("line", 9), ("cloze", 3)), held_out=4, base_share=0.1)
    told = json.loads(json.dumps(recipe.to_json()))
    assert told["config"] == {"learning_rate": 2e-4, "num_epochs": 2}
    found = Recipe.from_json(told)
    assert found == recipe
    assert found.config.model_fields_set == {"learning_rate", "num_epochs"}


def test_other_fields_of_the_config_leave_the_rest() -> None:
    recipe = Recipe(config=FineTuningConfig(learning_rate=2e-4), judged_copies=1).with_config(temperature=0.1)
    assert (recipe.config.learning_rate, recipe.config.temperature, recipe.judged_copies) == (2e-4, 0.1, 1)
    assert recipe.config.model_fields_set == {"learning_rate", "temperature"}


def test_a_method_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no method lines; there are line, line in place, cloze"):
        Recipe(made=(("lines", 3),))  # type: ignore[arg-type]


@pytest.mark.models
def test_a_recipe_trains_and_its_share_of_untuned_weights_counts(tmp_path: Path) -> None:
    model = tmp_path / "base"
    tiny_model().save(str(model))
    pages = _pages()
    recipe = Recipe(
        config=FineTuningConfig(learning_rate=1e-2, batch_size=8, validation_split=0),
        made=(("line", 8),),
        held_out=2,
    )
    texts = [page.content for page in pages]
    base = SentenceTransformerEncoder(_settings(tmp_path, embedding__model_name=str(model))).encode(texts)
    found = {}
    for share in (0.0, 1.0):
        settings = _settings(tmp_path / str(share), embedding__model_name=str(model))
        tuned = tune(Recipe.from_json({**recipe.to_json(), "base_share": share}), _judged(pages), pages, settings)
        found[share] = tuned.encoder.encode(texts)
        assert dict(tuned.rows) == {"judged": 14, "line": 8}
        assert tuned.metrics.data.validation_rows == 2
        assert tuned.seconds["all"] == pytest.approx(tuned.seconds["making"] + tuned.seconds["training"])
    assert np.abs(found[0.0] - base).max() > 1e-3
    assert np.abs(found[1.0] - base).max() <= 1e-6
