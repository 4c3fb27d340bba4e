"""The way back from a model: to its parents and data sets, to turns, users, ratings and documents, and what is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Lineage, Rater, ids_by_kind
from ragtime.services.conversation import ConversationManager
from ragtime.services.learning.lineage import TracedExample, taught_turns, trace_model, traced_examples
from ragtime.services.training_data_gen import TrainingDataGenerator
from ragtime.storage.registry import ModelNotFoundError, ModelRegistry
from tests.services.learning.backwards import settings_of
from tests.services.learning.conftest import Whole
from tests.services.learning.shop_world import ASKED, DOCUMENTS, ShopWorld, build_world, isolated

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ShopWorld:
    return build_world(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture
def copy(world: ShopWorld, tmp_path: Path) -> ShopWorld:
    """The same in a folder of its own, where something may be deleted."""
    target = tmp_path / "data"
    shutil.copytree(world.settings.data_dir, target)
    fields = {**world.__dict__, "settings": isolated(target)}
    return ShopWorld(**fields)


# --- the walk ---------------------------------------------------------------------------------------------------------


def test_from_a_model_to_the_turns_users_and_documents_that_taught_it(world: ShopWorld) -> None:
    trace = trace_model("support", world.settings)
    assert (trace.model.reference, trace.model.stage) == (world.first.reference, "production")
    assert (trace.parents, trace.base) == ((), "all-MiniLM-L6-v2")
    assert trace.missing == ()
    (dataset,) = trace.datasets
    assert (dataset.id, dataset.folder, dataset.models) == (world.talks.id, world.talks.folder, (trace.model.name,))
    assert dataset.examples == sum(world.talks.parts.values()) == 6
    assert dataset.strategies == {"conversation_based": 6}
    ids = trace.ids
    assert ids["users"] == ("ann", "bob")
    assert ids["conversations"] == ("ann-1", "bob-1")
    assert ids["documents"] == ("gloves", "laces", "leather", "parcels", "returns", "soles")
    assert set(trace.model.ids["turns"]) == set(dataset.ids["turns"])


def test_over_the_parents_to_the_first_base(world: ShopWorld) -> None:
    trace = trace_model(f"registry:{world.second.reference[:22]}", world.settings)
    assert trace.model.reference == world.second.reference
    assert trace.model.parent == f"registry:support@{world.first.short}"
    assert [one.reference for one in trace.parents] == [world.first.reference]
    assert trace.base == "all-MiniLM-L6-v2"
    assert [one.id for one in trace.datasets] == [world.pages.id, world.talks.id]
    assert trace.ids["users"] == ("ann", "bob")
    assert trace.missing == ()


def test_from_a_folder(world: ShopWorld) -> None:
    """Ratings are among what taught it: those that tell what is right, and those that tell what is wrong."""
    trace = trace_model(world.votes_model, world.settings)
    assert (trace.model.reference, trace.model.stage, trace.model.folder) == (None, None, world.votes_model)
    assert trace.ids["feedback"] == ("f-cleo", "f-dora", "f-nobody")
    assert trace.ids["users"] == ("cleo", "dora")
    assert trace.ids["conversations"] == ("cleo-9",)
    assert trace_model(str(world.votes_model), world.settings) == trace


def test_turns_with_their_examples(world: ShopWorld) -> None:
    """A question and its answer have an example; what was said before it stands in the context of later ones."""
    with ConversationManager(world.settings, user_id="ann") as manager:
        said = [turn.id for turn in manager.get_conversation("ann-1")]
    turns = [one for one in taught_turns(trace_model("support", world.settings)) if one.user_id == "ann"]
    assert {one.turn_id for one in turns} == set(said)
    assert {one.conversation_id for one in turns} == {"ann-1"}
    found = {one.turn_id: (one.examples, one.as_context) for one in turns}
    assert [found[turn] for turn in said] == [(1, 2), (1, 2), (1, 1), (1, 1), (1, 0), (1, 0)]


def test_which_examples_a_turn_or_a_document_has_taught(world: ShopWorld) -> None:
    trace = trace_model("support", world.settings)

    def queries(**wanted: str) -> list[str]:
        return sorted(one.query for one in traced_examples(trace, **wanted))

    first = ASKED["ann"][0][0]
    assert queries(document_id="returns") == [first]
    (example,) = traced_examples(trace, document_id="returns")
    assert isinstance(example, TracedExample)
    assert example.dataset_id == world.talks.id
    question = example.lineage.turn_ids[0]
    assert len(queries(turn_id=question)) == len(ASKED["ann"])  # the later ones have it as context
    assert queries(user_id="bob") == sorted(question for question, _, _ in ASKED["bob"])
    assert queries(document_id="gifts") == []
    votes = trace_model(world.votes_model, world.settings)
    assert [one.lineage.raters for one in traced_examples(votes, feedback_id="f-dora")] == [
        (Rater(user_id="cleo", conversation_id="cleo-9"), Rater(user_id="dora"))
    ]


def test_from_what_the_loop_has_learned_back_to_those_who_rated(whole: Whole) -> None:
    assert whole.report.version is not None
    trace = trace_model(whole.report.version, settings_of(whole.folder))
    assert trace.ids["users"] == ("u0", "u1", "u2", "u3", "u4")
    assert [one.id for one in trace.datasets] == [whole.report.data.dataset_id]
    assert trace.missing == ()
    (example,) = traced_examples(trace, feedback_id="f007")
    assert example.lineage.raters == (Rater(user_id="u2"),)


# --- what is gone -----------------------------------------------------------------------------------------------------


def test_what_is_gone_is_told_of(copy: ShopWorld) -> None:
    registry = copy.registry
    registry.promote("support", copy.second.version)
    registry.delete("support", copy.first.version)
    shutil.rmtree(copy.settings.data_path("datasets", copy.pages.id))
    trace = trace_model("support", copy.settings)
    assert (trace.parents, trace.base) == ((), None)
    gone, lost = trace.missing
    assert gone == f"The version support@{copy.first.short} was deleted from the registry"
    assert copy.pages.id in lost
    assert [(one.id, one.folder, one.examples) for one in trace.datasets] == [(copy.pages.id, None, 0)]
    assert list(traced_examples(trace)) == []
    assert trace.ids["documents"]  # the run has noted them


def test_a_data_set_is_found_wherever_it_rests_below_the_data_folder(copy: ShopWorld, tmp_path: Path) -> None:
    place = copy.settings.data_path("datasets", copy.talks.id)
    for target in (copy.settings.data_path("learning", "support", "r1", "data"), tmp_path / "elsewhere" / "kept"):
        target.parent.mkdir(parents=True, exist_ok=True)
        place = place.rename(target)
        folders = [tmp_path / "elsewhere"] if target.is_relative_to(tmp_path / "elsewhere") else []
        (dataset,) = trace_model("support", copy.settings, folders=folders).datasets
        assert dataset.folder == target
    assert trace_model("support", copy.settings).datasets[0].folder is None


def test_a_damaged_data_set_is_counted_and_costs_nothing_else(copy: ShopWorld) -> None:
    path = copy.settings.data_path("datasets", copy.talks.id, "examples", "00001.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0][:40], "[1, 2]", *lines[2:]]) + "\n")
    (dataset,) = trace_model("support", copy.settings).datasets
    assert (dataset.examples, dataset.damaged) == (len(lines) - 2, 2)
    assert dataset.problems == ("2 of its examples cannot be read",)


def test_a_missing_file_of_a_data_set_is_told_of(copy: ShopWorld) -> None:
    copy.settings.data_path("datasets", copy.talks.id, "examples", "00001.jsonl").unlink()
    (dataset,) = trace_model("support", copy.settings).datasets
    assert dataset.problems == ("1 of its files with examples are missing",)


def test_a_folder_whose_base_is_gone(copy: ShopWorld, tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    shutil.copytree(copy.settings.data_path("models", copy.votes_model.name), folder)
    about = json.loads((folder / "ragtime.json").read_text())
    for base in (str(tmp_path / "gone"), "models/all-MiniLM-L6-v2-full-0123abcd"):
        (folder / "ragtime.json").write_text(json.dumps({**about, "base_model": base}))
        trace = trace_model(folder, copy.settings)
        assert trace.base is None
        assert "is gone" in trace.missing[0]
    (folder / "ragtime.json").write_text(json.dumps({**about, "base_model": str(folder)}))
    assert "in a circle" in trace_model(folder, copy.settings).missing[0]
    (folder / "ragtime.json").write_text(json.dumps({**about, "base_model": "registry:support"}))
    assert "was not recorded" in trace_model(folder, copy.settings).missing[0]


def test_a_model_of_others_has_no_way_back(world: ShopWorld, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    trace = trace_model(tmp_path, world.settings)
    assert (trace.datasets, trace.base, dict(trace.ids)) == ((), None, {})
    assert trace.missing == (f"What {tmp_path} was trained from is not recorded",)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_an_unknown_model_is_told_with_one_of_a_similar_name(world: ShopWorld) -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean 'support'"):
        trace_model("suport", world.settings)
    with pytest.raises(ModelNotFoundError, match="has no version"):
        trace_model("support@00000000", world.settings)
    with pytest.raises(InvalidArgumentError, match="is not there"):
        trace_model("no/such/folder", world.settings)
    with pytest.raises(InvalidArgumentError, match="holds no model"):
        trace_model(world.talks.folder, world.settings)
    with pytest.raises(InvalidArgumentError, match="to look through"):
        trace_model("support", world.settings, folders=["nowhere"])


def test_nothing_is_made_for_a_look(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="is empty"):
        trace_model("support", isolated(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


# --- what examples note -----------------------------------------------------------------------------------------------


def test_ids_by_kind_tells_raters_among_the_users() -> None:
    lineages = [
        Lineage(user_id="ann", conversation_id="c", turn_ids=("q", "a"), context_turn_ids=("p",)),
        Lineage(feedback_ids=("f",), raters=(Rater(user_id="bob", conversation_id="d"), Rater())),
    ]
    assert ids_by_kind(lineages) == {
        "users": {"ann", "bob"},
        "conversations": {"c", "d"},
        "turns": {"q", "a"},
        "context_turns": {"p"},
        "feedback": {"f"},
    }
    assert ids_by_kind([]) == {}


@pytest.mark.parametrize("strategy", ["augmentation", "negative_sampling"])
def test_what_is_made_of_examples_keeps_their_users_and_raters(tmp_path: Path, strategy: str) -> None:
    ratings = [
        {"id": "f1", "query": "How do I look after leather boots?", "rating": 5, "document_ids": ["leather"]}
        | {"user_id": "cleo"},
        {"id": "f2", "query": "How do I look after leather boots?", "rating": 1, "document_ids": ["laces"]}
        | {"user_id": "dora"},
    ]
    generator = TrainingDataGenerator(isolated(tmp_path / "data"), documents=DOCUMENTS, feedback=ratings)
    made = list(generator.iter_training_data(strategy=strategy, validation=False))
    assert made
    for example in made:
        assert [rater.user_id for rater in example.lineage.raters] == ["cleo", "dora"]
        assert example.lineage.feedback_ids == ("f1", "f2")


def test_a_rating_beside_given_examples_is_noted_where_it_gives_a_negative(tmp_path: Path) -> None:
    settings = isolated(tmp_path / "data")
    rating = {"id": "f2", "query": "How do I look after leather boots?", "rating": 1, "document_ids": ["laces"]}
    (given,) = TrainingDataGenerator(
        settings,
        documents=DOCUMENTS,
        queries=[{"id": "q", "text": rating["query"], "judgements": {"leather": 1}}],
    ).iter_training_data()
    generator = TrainingDataGenerator(settings, documents=DOCUMENTS, feedback=[{**rating, "user_id": "dora"}])
    (made,) = generator.add_negatives([given])
    assert "laces" in made.metadata["negative_ids"]
    assert made.lineage.raters == (Rater(user_id="dora"),)
    assert made.lineage.feedback_ids == ("f2",)


def test_registries_are_given_or_those_of_the_settings(world: ShopWorld, tmp_path: Path) -> None:
    empty = ModelRegistry(root=tmp_path / "registry")
    with pytest.raises(ModelNotFoundError):
        trace_model("support", world.settings, registry=empty)
    assert trace_model("support", isolated(tmp_path), registry=world.registry).model.reference == world.first.reference
