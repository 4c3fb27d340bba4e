"""Questions made up from passages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import BackendCancelledError, BackendError, GenerationError
from ragtime.records import Document
from ragtime.services.training_data_gen import TrainingDataGenerator
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.run import prepared_run
from ragtime.services.training_data_gen.sources import Sources
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies import Rejected, get_strategy
from ragtime.services.training_data_gen.strategies.synthetic import SyntheticStrategy
from ragtime.services.training_data_gen.text import plain
from ragtime.services.training_data_gen.tools import Tools
from ragtime.testing import ScriptedCall, ScriptedGenerator
from ragtime.utils.hashing import text_hash
from ragtime.utils.standard_library import standard_library_documents

KETTLE = Document(
    id="kettle",
    title="Descaling the kettle",
    text=(
        "Fill the kettle with one part of vinegar and two parts of water. Boil the mixture once, switch the kettle off "
        "and let it stand for an hour. You can use citric acid instead of vinegar. If the water is very hard, repeat "
        "the treatment every month. Limescale is a hard deposit of calcium carbonate. The filter takes two minutes to "
        "rinse. Rinse the kettle twice before you make tea with it, or the first cup tastes sour."
    ),
)
ROUTER = Document(
    id="router",
    title="Overview",
    text=(
        "Hold the small button at the back of the router for ten seconds. The lamp blinks when the reset begins. The "
        "router is ready after three minutes. Your old password is lost, because the reset erases all settings. You "
        "must enter the password of your provider again."
    ),
)
NUMBERS = Document(id="numbers", text="1 2 3")


@contextmanager
def tools_for(
    documents: Sequence[Document], folder: Path, generator: ScriptedGenerator | None = None
) -> Iterator[tuple[Tools, list[dict[str, str]]]]:
    """The tools of a run, and the units of the strategy."""
    options = Settings.isolated(data_dir=folder, logging__progress="off")
    sources = Sources(documents=lambda: iter(documents))
    strategy = SyntheticStrategy()
    with prepared_run(options, sources, [strategy], encoder=None, generator=generator) as run:
        yield run.tools, [dict(unit) for unit in strategy.units(Reading(sources), run.tools)]


def made(
    documents: Sequence[Document], folder: Path, generator: ScriptedGenerator | None = None
) -> list[TrainingExample]:
    with tools_for(documents, folder, generator) as (tools, units):
        outcomes = [one for found in SyntheticStrategy().make(units, tools) for one in found]
    return [one for one in outcomes if isinstance(one, TrainingExample)]


@pytest.fixture(scope="module")
def library() -> list[Document]:
    return standard_library_documents(200)


@pytest.fixture
def examples(library: list[Document], tmp_path: Path) -> list[TrainingExample]:
    return made([*library, KETTLE, ROUTER], tmp_path)


def test_an_average_passage_gives_at_least_four_examples_by_every_method(examples: list[TrainingExample]) -> None:
    methods = Counter(example.metadata["method"] for example in examples)
    assert set(methods) == {"heading", "cloze", "crop", "question", "keywords"}
    assert len([one for one in examples if one.lineage.document_ids == ("kettle",)]) >= 8
    assert len(examples) >= 4 * 200


def test_every_example_is_weak_and_says_where_it_came_from(examples: list[TrainingExample]) -> None:
    for example in examples:
        assert example.weak
        assert example.strategy == "synthetic"
        assert example.lineage.source == "documents"
        assert example.lineage.seed == Settings.isolated().seed
        assert example.lineage.settings_hash


def test_no_response_is_its_query_and_no_method_asks_the_same_twice_of_a_passage(
    examples: list[TrainingExample],
) -> None:
    assert all(plain(example.query) != plain(example.response) for example in examples)
    pairs = [
        (example.query.casefold(), example.metadata["method"], example.lineage.document_ids) for example in examples
    ]
    assert len(pairs) == len(set(pairs))


def test_spans_slice_back_to_the_text(examples: list[TrainingExample], library: list[Document]) -> None:
    texts = {document.id: document.text for document in [*library, KETTLE, ROUTER]}
    sliced = Counter()
    for example in examples:
        if example.lineage.span is None:
            continue
        text = texts[example.lineage.document_ids[0]]
        piece = text[slice(*example.lineage.span)]
        method = example.metadata["method"]
        sliced[method] += 1
        if method in {"heading", "crop"}:
            assert piece == example.response
        elif method == "cloze":
            assert plain(piece) == example.query
        if method == "crop":
            assert plain(text[slice(*example.metadata["query_span"])]) == example.query
            assert piece not in text[slice(*example.metadata["query_span"])]
    assert set(sliced) == {"heading", "crop", "cloze", "question"}


def test_a_cloze_sentence_is_gone_from_its_passage_in_nine_cases_of_ten(examples: list[TrainingExample]) -> None:
    clozes = [example for example in examples if example.metadata["method"] == "cloze"]
    in_place = [example for example in clozes if example.metadata["sentence_in_place"]]
    assert 0.04 < len(in_place) / len(clozes) < 0.16
    kettle = [one for one in clozes if one.lineage.document_ids == ("kettle",)]
    for example in kettle:
        assert (example.query in example.response) is example.metadata["sentence_in_place"]
        assert example.response.startswith("Descaling the kettle\n")
        assert "  " not in example.response


def test_a_generic_heading_is_no_query(tmp_path: Path) -> None:
    examples = made([KETTLE, ROUTER], tmp_path)
    headings = [one for one in examples if one.metadata["method"] == "heading"]
    assert {one.lineage.document_ids for one in headings} == {("kettle",)}
    assert "Descaling the kettle" in {one.query for one in headings}
    assert all("Overview" not in one.query for one in examples)


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Handbook › Kettles › Descaling the old kettle", "Descaling the old kettle"),
        ("Handbook › Kettles › Descaling", "Kettles Descaling"),
    ],
)
def test_the_title_of_a_section_is_its_nearest_heading(tmp_path: Path, title: str, query: str) -> None:
    section = KETTLE.model_copy(update={"title": title})
    queries = [one.query for one in made([section], tmp_path) if one.metadata["method"] == "heading"]
    assert query in queries
    assert not any("›" in one for one in queries)


def test_headings_within_a_text_ask_for_their_sections(tmp_path: Path) -> None:
    text = (
        "# Cooling { #cooling }\n\nThe fan cools what is in the drum, and takes about four minutes.\n\n"
        "## Cleaning the fan\n\nTake the cover off and brush the blades with care.\n\n```\n# no heading\nrun --fan\n"
        "some more lines of code that are long enough\n```\n\n"
        "## Notes\n\nThis section has a heading that says nothing at all.\n"
    )
    examples = made([Document(id="fan", text=text)], tmp_path)
    sections = {one.query: one.response for one in examples if one.metadata["method"] == "heading"}
    assert sections["Cooling"].startswith("The fan cools")
    assert sections["Cleaning the fan"].startswith("Take the cover off")
    assert "This section" not in sections["Cleaning the fan"]
    assert not {"no heading", "Notes"} & set(sections)


def test_what_is_too_short_to_ask_about_is_rejected_with_a_reason(tmp_path: Path) -> None:
    with tools_for([NUMBERS], tmp_path) as (tools, units):
        outcomes = SyntheticStrategy().make(units, tools)
    assert [one for (one,) in outcomes] == [
        Rejected("the passage has no heading that tells anything"),
        Rejected("the passage has no sentence to take out"),
        Rejected("the passage is too short to crop"),
        Rejected("the passage has no sentence that answers a question"),
        Rejected("the passage has too few keyphrases"),
    ]


def test_a_part_of_all_examples_is_of_many_passages(library: list[Document], tmp_path: Path) -> None:
    options = Settings.isolated(data_dir=tmp_path, logging__progress="off", conport__mode="off")
    generator = TrainingDataGenerator(options, documents=library)
    asked = Counter(one.lineage.document_ids for one in generator.generate_examples(100, "synthetic"))
    assert len(asked) > 60


def test_without_documents_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="documents="), tools_for([], tmp_path):
        pass


def test_other_scripts_are_no_obstacle(tmp_path: Path) -> None:
    chinese = Document(
        id="zh",
        title="重置路由器",
        text="按住背面的小按钮十秒钟。指示灯闪烁时重置开始。三分钟后路由器就绪。请再次输入密码。" * 2,
    )
    german = Document(
        id="de",
        title="Urlaub beantragen",
        text="Urlaub wird zwei Wochen vorher im Personalportal beantragt. Die Teamleitung genehmigt ihn innerhalb von "
        "drei Tagen. Wer länger als drei Wochen fehlen will, spricht vorher mit der Personalabteilung. Resturlaub "
        "verfällt am letzten Tag im März.",
    )
    examples = made([chinese, german], tmp_path)
    methods = {(one.lineage.document_ids[0], one.metadata["method"]) for one in examples}
    assert {("zh", "heading"), ("zh", "cloze"), ("de", "heading"), ("de", "cloze"), ("de", "crop")} <= methods
    assert not {("zh", "question"), ("de", "question")} & methods


def test_what_is_made_of_a_passage_depends_on_nothing_beside_it(library: list[Document], tmp_path: Path) -> None:
    with tools_for(library[:60], tmp_path) as (tools, units):
        together = SyntheticStrategy().make(units, tools)
        alone = [SyntheticStrategy().make([unit], tools)[0] for unit in reversed(units)]
    assert together == alone[::-1]


def test_every_hash_seed_gives_the_same(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "import test_synthetic as own\n"
        "from ragtime.utils.standard_library import standard_library_documents\n"
        "found = own.made(standard_library_documents(40), Path(sys.argv[1]))\n"
        "print(own.text_hash(''.join(one.model_dump_json() for one in found)))\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed)],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "7")
    }
    assert len(printed) == 1


@settings(max_examples=40)
@given(st.text(min_size=1).filter(lambda text: bool(text.strip()) and "\0" not in text and text.isprintable()))
def test_no_text_breaks_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    with tools_for([Document(id="any", title=text[:20], text=text * 3)], tmp_path_factory.mktemp("any")) as found:
        tools, units = found
        outcomes = SyntheticStrategy().make(units, tools)
    assert all(outcomes)
    for one in (one for found in outcomes for one in found):
        if isinstance(one, TrainingExample) and one.lineage.span is not None:
            start, end = one.lineage.span
            assert 0 <= start < end <= len(text * 3)


# --- with a language model ------------------------------------------------------------------------------------------


def garbage_half_of_the_time(call: ScriptedCall) -> str | BaseException:
    number = int(text_hash(call.messages[-1]["content"])[:8], 16)
    queries = [f"what {kind} number {number}" for kind in ("descales", "resets", "rinses", "fills")]
    return (
        "Sorry, I cannot do that.",
        BackendError("the model is gone"),
        "]]]{{ \0",
        "```json\n[" + ", ".join(f'"{query}"' for query in queries) + ",]\n```",
        "\n".join(f"{place}. {query}" for place, query in enumerate(queries, 1)),
        '["' + '", "'.join(queries[:3]) + '", "' + queries[3][:5],
    )[number % 6]


def test_a_model_that_returns_garbage_half_of_the_time_still_yields_every_example(
    library: list[Document], tmp_path: Path
) -> None:
    generator = ScriptedGenerator(garbage_half_of_the_time)
    long = [document for document in library if len(document.text) > 400]
    with tools_for(long, tmp_path, generator) as (tools, units):
        outcomes = SyntheticStrategy().make(units, tools)
        notes = tools.notes
    examples = [one for found in outcomes for one in found if isinstance(one, TrainingExample)]
    asked = [one for one in examples if one.metadata["method"] == "prompted" or "instead_of" in one.metadata]
    assert Counter(one.lineage.document_ids[0] for one in asked) == {document.id: 4 for document in long}
    methods = Counter(one.metadata["method"] for one in examples)
    assert methods["prompted"] > len(long)
    assert any("instead_of" in one.metadata for one in examples)
    assert len(generator.calls) == len(long)
    assert any("BackendError" in note for note in notes)
    assert any("too few" in note for note in notes)


def test_the_queries_of_a_model_take_the_place_of_those_by_rules(tmp_path: Path) -> None:
    queries = ["how to get rid of limescale", "is vinegar safe?", "kettle sour taste", "Which acid can I use?"]
    generator = ScriptedGenerator([str(queries).replace("'", '"')])
    examples = made([KETTLE], tmp_path, generator)
    assert [one.query for one in examples if one.metadata["method"] == "prompted"] == queries
    assert {one.metadata["method"] for one in examples} == {"prompted", "heading", "cloze", "crop"}
    assert "Fill the kettle" in generator.calls[0].messages[-1]["content"]
    assert generator.calls[0].seed is not None


def test_queries_that_point_to_the_passage_or_copy_it_are_not_used(tmp_path: Path) -> None:
    answer = '["What does the passage say?", "Fill the kettle with one part of vinegar", "limescale remover", "a b"]'
    examples = made([KETTLE], tmp_path, ScriptedGenerator([answer]))
    assert [one.query for one in examples if one.metadata["method"] == "prompted"] == ["limescale remover", "a b"]
    assert sum("instead_of" in one.metadata for one in examples) == 2


def test_stopping_the_model_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(BackendCancelledError):
        made([KETTLE], tmp_path, ScriptedGenerator([BackendCancelledError("stopped")]))


def test_it_is_known_by_its_name() -> None:
    assert isinstance(get_strategy("synthetic"), SyntheticStrategy)
