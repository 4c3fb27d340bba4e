"""From a user forward: every data set, model and leftover that holds something of them is named, and no other."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Lineage, Rater
from ragtime.services.conversation import ConversationManager
from ragtime.services.learning.forgetting import ForgettingPlan, check_found, forget_everywhere, plan_forgetting
from ragtime.services.training_data_gen import GenerationMetrics, TrainingDataGenerator, TrainingExample, load_examples
from ragtime.services.training_data_gen.datasets import write_dataset
from ragtime.storage.conversations import MemoryConversationStore
from tests.services.learning.backwards import settings_of
from tests.services.learning.conftest import Whole
from tests.services.learning.shop_world import (
    ASKED,
    DOCUMENTS,
    RATINGS,
    ShopWorld,
    build_world,
    fill_store,
    isolated,
    make_dataset,
)

USERS = ["ann", "bob", "cleo"]


class StopError(Exception):
    """Ends a run as Ctrl-C would."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ShopWorld:
    return build_world(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture
def shop(tmp_path: Path) -> Settings:
    """A shop where ann and bob have talked, and nothing was made of it."""
    chosen = isolated(tmp_path / "data")
    fill_store(chosen)
    return chosen


def datasets(plan: ForgettingPlan) -> set[str | None]:
    return {one.id for one in plan.datasets}


def actions(plan: ForgettingPlan) -> list[str]:
    return [step.action for step in plan.steps]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- data sets and models ---------------------------------------------------------------------------------------------


@pytest.mark.models
def test_the_data_sets_and_models_of_somebody_who_has_talked(world: ShopWorld) -> None:
    plan = plan_forgetting("ann", world.settings)
    assert (plan.conversations, plan.turns) == (1, 6)
    (dataset,) = plan.datasets
    assert (dataset.id, dataset.examples, dataset.total) == (world.talks.id, 3, 6)
    first, second, folder = plan.models[0], plan.models[-2], plan.models[1]
    named = {one.name: one for one in plan.models}
    assert first.reference == world.first.reference
    assert (first.stage, first.reason, first.copy_of) == ("production", "turns", None)
    assert (folder.reference, folder.copy_of) == (None, first.name)
    child = named[f"support@{world.second.short}"]
    assert (child.stage, child.reason, child.through) == ("candidate", "parent", (first.name,))
    assert len(plan.models) == 4  # and the folder that each of the two versions is a copy of
    assert second.name in named
    assert "bob" not in plan.model_dump_json()


@pytest.mark.models
def test_what_has_to_be_made_anew_stands_in_its_order(world: ShopWorld) -> None:
    plan = plan_forgetting("ann", world.settings)
    told = [(step.action, step.what) for step in plan.steps]
    assert actions(plan)[:5] == ["forget", "generate", "train", "promote", "train"]
    assert world.talks.id in told[1][1]
    assert told[2][1].startswith(f"support@{world.first.short} anew")
    assert told[4][1].startswith(f"support@{world.second.short} anew, from what takes the place of support@")
    assert set(actions(plan)[5:]) == {"delete"}
    assert plan.left_to_do[0].action == "generate"


@pytest.mark.models
def test_somebody_who_has_only_rated_is_found(world: ShopWorld) -> None:
    """Be it that the rating made an example, or that it gave another's example its negative."""
    for user in ("cleo", "dora"):
        plan = plan_forgetting(user, world.settings)
        assert (plan.conversations, plan.turns) == (0, 0)
        assert datasets(plan) == {world.votes.id}
        assert [(one.folder, one.reason) for one in plan.models] == [(world.votes_model, "turns")]
        assert [one.kind for one in plan.folders] == ["training_run"]
        other = {"cleo": "dora", "dora": "cleo"}[user]
        assert other not in plan.model_dump_json()


@pytest.mark.models
def test_of_somebody_unknown_nothing_is_found(world: ShopWorld) -> None:
    plan = plan_forgetting("anna", world.settings)
    assert plan.is_empty
    assert plan.steps == ()
    assert [doubt.what for doubt in plan.doubts] == [f"data set {world.votes.id}"]  # of one rating nobody knows whose
    with pytest.raises(InvalidArgumentError, match=r"Nothing of user 'anna' was found, .*did you mean 'ann'"):
        check_found(plan, world.settings)
    with pytest.raises(InvalidArgumentError, match="Nothing of user 'anna'"):
        forget_everywhere("anna", world.settings)


@pytest.mark.models
def test_a_plan_changes_nothing(world: ShopWorld) -> None:
    before = files(Path(world.settings.data_dir))
    assert plan_forgetting("ann", world.settings) == plan_forgetting("ann", world.settings)
    assert files(Path(world.settings.data_dir)) == before


@pytest.mark.models
def test_a_conversation_or_a_turn_alone(world: ShopWorld) -> None:
    with ConversationManager(world.settings, user_id="ann") as manager:
        turns = [turn.id for turn in manager.get_conversation("ann-1")]

    def held(**wanted: str) -> int:
        return sum(one.examples for one in plan_forgetting("ann", world.settings, **wanted).datasets)

    assert held(conversation_id="ann-1") == 3
    assert held(conversation_id="bob-1") == 0
    assert held(conversation_id="ann-1", turn_id=turns[-1]) == 1
    assert held(conversation_id="ann-1", turn_id=turns[0]) == 3  # later questions have it in their context
    assert plan_forgetting("ann", world.settings, conversation_id="ann-1", turn_id=turns[0]).turns == 1
    assert datasets(plan_forgetting("cleo", world.settings, conversation_id="cleo-9")) == {world.votes.id}
    assert plan_forgetting("cleo", world.settings, conversation_id="cleo-8").is_empty


@pytest.mark.models
def test_after_the_store_has_forgotten_the_rest_is_still_found(world: ShopWorld) -> None:
    plan = plan_forgetting("ann", world.settings, store=MemoryConversationStore())
    assert (plan.conversations, plan.turns) == (0, 0)
    assert datasets(plan) == {world.talks.id}
    assert actions(plan)[0] == "generate"


@pytest.mark.models
def test_a_damaged_model_and_a_damaged_data_set_are_doubts(world: ShopWorld, tmp_path: Path) -> None:
    shutil.copytree(world.settings.data_dir, tmp_path / "data")
    chosen = isolated(tmp_path / "data")
    (chosen.data_path("models", world.votes_model.name) / "ragtime.json").write_text("{")
    shards = chosen.data_path("datasets", world.talks.id, "examples") / "00001.jsonl"
    lines = shards.read_text().splitlines()
    shards.write_text("\n".join(["{", *lines[1:]]))
    chosen.data_path("datasets", world.pages.id, "manifest.json").write_text("{")
    (chosen.data_path("registry", "support", "versions", world.second.version) / "manifest.json").write_text("{}")
    plan = plan_forgetting("ann", chosen)
    assert datasets(plan) == {world.talks.id}
    told = {doubt.what: doubt.why for doubt in plan.doubts}
    assert told[f"data set {world.talks.id}"] == "1 of its examples cannot be read"
    assert told[f"data set {chosen.data_path('datasets', world.pages.id)}"] == "its manifest is damaged"
    problems = [doubt.why for doubt in plan.doubts if doubt.what == "a model"]
    assert any(f"support@{world.second.short} is damaged" in why for why in problems)
    assert any(world.votes_model.name in why for why in problems)


@pytest.mark.models
def test_a_model_of_rows_that_tell_nothing_is_a_doubt_unless_its_data_set_tells(
    world: ShopWorld, tmp_path: Path
) -> None:
    shutil.copytree(world.settings.data_dir, tmp_path / "data")
    chosen = isolated(tmp_path / "data")
    folder = chosen.data_path("models", world.pages_model.name)
    about = json.loads((folder / "ragtime.json").read_text())
    cases: list[tuple[list[str], str | None, bool]] = [
        ([], None, True),
        (["gone"], None, True),
        ([world.pages.id], None, False),
        ([world.talks.id], "dataset", False),
    ]
    for dataset_ids, reason, doubted in cases:
        data = {**about["data"], "lineage": {}, "dataset_ids": dataset_ids}
        (folder / "ragtime.json").write_text(json.dumps({**about, "data": data}))
        plan = plan_forgetting("ann", chosen)
        assert {one.folder: one.reason for one in plan.models}.get(folder) == reason
        assert any(str(folder) in doubt.what and "not recorded" in doubt.why for doubt in plan.doubts) == doubted


# --- what else holds it -----------------------------------------------------------------------------------------------


def interrupted(generator: TrainingDataGenerator, strategy: str) -> None:
    made = generator.iter_training_data(strategy=strategy)
    next(made)
    with pytest.raises(StopError):
        made.throw(StopError())


def test_working_files_of_interrupted_runs_are_named_and_removed(shop: Settings) -> None:
    with ConversationManager(shop, user_id="ann") as manager:
        interrupted(TrainingDataGenerator(shop, documents=DOCUMENTS, conversations=manager), "conversation_based")
    interrupted(TrainingDataGenerator(shop, documents=DOCUMENTS, feedback=RATINGS), "query_based")
    before = sorted(files(shop.data_path("datasets")))
    plan = plan_forgetting("ann", shop)
    assert [one.kind for one in plan.folders] == ["working_file"]
    assert actions(plan) == ["forget", "clear"]
    assert len(plan_forgetting("dora", shop).folders) == 1
    assert plan_forgetting("bob", shop).folders == ()
    assert sorted(files(shop.data_path("datasets"))) == before

    forgotten = forget_everywhere("ann", shop)
    assert forgotten.receipt is not None
    assert (forgotten.receipt.turns, forgotten.unfinished.removed) == (6, 2)
    assert forgotten.plan == plan
    assert forgotten.plan.left_to_do == ()
    assert plan_forgetting("ann", shop).is_empty


def test_a_working_file_that_cannot_be_read_is_a_doubt(shop: Settings) -> None:
    folder = shop.data_path("datasets", "unfinished")
    folder.mkdir(parents=True)
    (folder / "0123.sqlite").write_bytes(b"no database")
    (doubt,) = plan_forgetting("ann", shop).doubts
    assert "0123.sqlite" in doubt.what


def test_a_run_of_the_loop_is_named_with_what_it_made(shop: Settings) -> None:
    """By its data set, by a copy of a source, or by the ids in its files; a report may show what became no example."""
    made = make_dataset(shop, "conversation_based", ["ann"])
    runs = shop.data_path("learning", "support")
    contents: dict[str, dict[str, Any]] = {
        "r1": {"data.json": {"result": {"dataset_id": made.id}}},
        "r2": {"sources.jsonl": {"query": "Where?", "user_id": "ann"}},
        "r3": {"report.json": {"data": {"rejected": [{"query": "Where?", "strategy": "query_based"}]}}},
        "r4": {"report.json": {"data": {"rejected": [{"query": "Where?", "strategy": "synthetic"}]}}},
        "r5": {"report.json": {"data": {"kept": [{"query": "Where?", "user_ids": ["ann"]}]}}},
    }
    for name, contained in contents.items():
        (runs / name).mkdir(parents=True)
        for file, value in contained.items():
            (runs / name / file).write_text(json.dumps(value))
    plan = plan_forgetting("ann", shop)
    assert [one.path.name for one in plan.folders] == ["r1", "r2", "r5"]
    assert plan.datasets[0].learning_run == "support/r1"
    assert "generate" not in actions(plan)
    assert actions(plan).count("learn") == 3
    assert [doubt.what for doubt in plan.doubts] == ["the report of the loop's run support/r3"]
    assert [one.path for one in plan_forgetting("bob", shop).folders] == []


@pytest.mark.models
def test_what_the_loop_has_made_is_made_anew_by_the_loop(whole: Whole) -> None:
    chosen = settings_of(whole.folder)
    plan = plan_forgetting("u3", chosen)
    assert datasets(plan) == {whole.report.data.dataset_id}
    run = f"{whole.report.name}/{whole.report.run_id}"
    assert {one.learning_run for one in plan.datasets} == {run}
    assert plan.models
    assert {(one.reason, one.learning_run) for one in plan.models} == {("turns", run)}
    assert {one.kind for one in plan.folders} == {"learning_run", "training_run"}
    assert {"generate", "train"}.isdisjoint(actions(plan))
    assert actions(plan)[:1] == ["learn"]
    assert plan_forgetting("u7", chosen).is_empty


def test_what_a_killed_run_has_half_written_is_named(shop: Settings) -> None:
    made = make_dataset(shop, "conversation_based", ["ann"])
    target = made.folder.with_name(f".{made.id}.tmp")
    made.folder.rename(target)
    (target / "manifest.json").unlink()
    plan = plan_forgetting("ann", shop)
    (held,) = plan.datasets
    assert (held.id, held.folder) == (None, target)
    assert any("broken off" in doubt.why for doubt in plan.doubts)
    assert actions(plan) == ["forget", "delete"]


def test_data_sets_elsewhere_are_looked_for_where_one_says_so(shop: Settings, tmp_path: Path) -> None:
    made = make_dataset(shop, "conversation_based", ["ann"])
    shutil.copytree(made.folder, tmp_path / "mine" / "talks")
    shutil.rmtree(made.folder)
    assert plan_forgetting("ann", shop).datasets == ()
    assert datasets(plan_forgetting("ann", shop, folders=[tmp_path / "mine"])) == {made.id}
    with pytest.raises(InvalidArgumentError, match="to look through"):
        plan_forgetting("ann", shop, folders=[tmp_path / "nowhere"])


def test_links_lead_to_a_data_set_once(shop: Settings) -> None:
    made = make_dataset(shop, "conversation_based", ["ann"])
    (made.folder.parent / "again").symlink_to(made.folder)
    (made.folder.parent / "round").symlink_to(made.folder.parent)
    assert len(plan_forgetting("ann", shop).datasets) == 1


# --- forgetting -------------------------------------------------------------------------------------------------------


def test_others_stay(shop: Settings) -> None:
    made = make_dataset(shop, "conversation_based", ["ann", "bob"])
    forgotten = forget_everywhere("ann", shop)
    assert [step.action for step in forgotten.plan.left_to_do] == ["generate", "delete"]
    again = make_dataset(shop, "conversation_based", ["bob"])
    shutil.rmtree(made.folder)
    assert plan_forgetting("ann", shop).is_empty
    plan = plan_forgetting("bob", shop)
    assert (datasets(plan), plan.turns) == ({again.id}, 6)


def test_a_conversation_alone_is_forgotten(shop: Settings) -> None:
    with ConversationManager(shop, user_id="ann") as manager:
        manager.create_conversation("ann-2").add_exchange("Do you open on Sundays?", "No, never.")
    forgotten = forget_everywhere("ann", shop, conversation_id="ann-2")
    assert (forgotten.plan.conversations, forgotten.plan.turns) == (1, 2)
    assert forgotten.receipt is not None
    assert forgotten.receipt.conversation_ids == ("ann-2",)
    assert plan_forgetting("ann", shop).turns == 6
    with pytest.raises(InvalidArgumentError, match="in conversation 'ann-2' was found"):
        forget_everywhere("ann", shop, conversation_id="ann-2")


def test_a_turn_is_found_in_the_forks_that_share_it(shop: Settings) -> None:
    with ConversationManager(shop, user_id="ann") as manager:
        conversation = manager.get_conversation("ann-1")
        turns = [turn.id for turn in conversation]
        fork = conversation.fork(turns[1])
        fork.add_exchange("And who pays for the parcel of a return?", "We do, of course.", document_ids=["returns"])
        fork_id = fork.conversation_id
    made = make_dataset(shop, "conversation_based", ["ann"])
    lineages = [one.lineage for one in load_examples(made.folder / "examples" / "00001.jsonl")]
    (own,) = [one for one in lineages if one.conversation_id == fork_id and turns[0] not in one.turn_ids]
    assert turns[0] in own.context_turn_ids
    plan = plan_forgetting("ann", shop, conversation_id="ann-1", turn_id=turns[0])
    assert plan.datasets[0].examples == sum(turns[0] in {*one.turn_ids, *one.context_turn_ids} for one in lineages)


def test_what_is_of_no_user(tmp_path: Path) -> None:
    chosen = isolated(tmp_path / "data")
    with ConversationManager(chosen) as manager:
        conversation = manager.create_conversation("c1")
        for question, answer, document in ASKED["ann"]:
            conversation.add_exchange(question, answer, document_ids=[document])
        made = TrainingDataGenerator(chosen, documents=DOCUMENTS, conversations=manager).generate_dataset(
            strategies={"conversation_based": None, "synthetic": None}
        )
    plan = plan_forgetting(None, chosen, conversation_id="c1")
    assert (plan.turns, plan.datasets[0].id, plan.datasets[0].examples) == (6, made.id, 3)
    assert plan_forgetting(None, chosen).datasets == plan.datasets
    assert plan_forgetting("ann", chosen).is_empty
    forgotten = forget_everywhere(None, chosen, conversation_id="c1")
    assert forgotten.receipt is not None
    assert forgotten.receipt.turns == 6


def test_ratings_in_a_conversation_are_those_who_gave_them(shop: Settings) -> None:
    """A reviewer who has rated an answer in somebody else's conversation is found, too."""
    with ConversationManager(shop, user_id="bob") as manager:
        conversation = manager.get_conversation("bob-1")
        conversation.add_feedback(conversation.get_interactions()[1].id, 5, by="reviewer")
    made = make_dataset(shop, "conversation_based", ["bob"])
    plan = plan_forgetting("reviewer", shop)
    assert (datasets(plan), plan.datasets[0].examples) == ({made.id}, 1)


@pytest.mark.parametrize("wrong", ["", " ann", "a\nb", "\udcff"])
def test_what_is_no_id_is_refused(tmp_path: Path, wrong: str) -> None:
    chosen = isolated(tmp_path / "data")
    with pytest.raises(InvalidArgumentError, match="user_id is no id"):
        plan_forgetting(wrong, chosen)
    with pytest.raises(InvalidArgumentError, match="conversation_id is no id"):
        plan_forgetting("ann", chosen, conversation_id=wrong)
    with pytest.raises(InvalidArgumentError, match="without conversation_id"):
        plan_forgetting("ann", chosen, turn_id="t")


def test_nothing_is_made_for_a_look(tmp_path: Path) -> None:
    assert plan_forgetting("ann", isolated(tmp_path / "data")).is_empty
    assert not (tmp_path / "data").exists()


# --- properties -------------------------------------------------------------------------------------------------------

somebody = st.sampled_from([None, *USERS])
raters = st.builds(Rater, user_id=somebody, conversation_id=st.sampled_from([None, "c1", "c2"]))
lineages = st.builds(
    Lineage,
    user_id=somebody,
    conversation_id=st.sampled_from([None, "c1", "c2"]),
    feedback_ids=st.just(("f",)),
    raters=st.lists(raters, max_size=2).map(tuple),
)


def told_by(lineage: Lineage) -> set[tuple[str | None, str | None]]:
    pairs = {(one.user_id, one.conversation_id) for one in lineage.raters}
    return {(lineage.user_id, lineage.conversation_id), *pairs}


def examples_of(made: list[Lineage]) -> Iterator[TrainingExample]:
    for number, lineage in enumerate(made):
        yield TrainingExample(query=f"Where is number {number}?", response=f"It is in room {number}.", lineage=lineage)


@given(st.lists(st.lists(lineages, min_size=1, max_size=4), min_size=1, max_size=3))
@settings(max_examples=40)
def test_a_plan_names_a_data_set_just_when_an_example_holds_something(made: list[list[Lineage]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chosen = isolated(Path(folder))
        for number, some in enumerate(made):
            target = chosen.data_path("datasets", f"d{number}")
            write_dataset(list(examples_of(some)), [], GenerationMetrics(), chosen, folder=target)
        for user in USERS:
            plan = plan_forgetting(user, chosen)
            expected = {
                number: held
                for number, some in enumerate(made)
                if (held := sum(one.user_id == user or user in {r.user_id for r in one.raters} for one in some))
            }
            assert {int(one.folder.name[1:]): one.examples for one in plan.datasets} == expected
            told = plan.model_dump_json()
            assert not any(f'"{other}"' in told for other in USERS if other != user)
            for conversation in ("c1", "c2"):
                wanted = user, conversation
                of_it = {number for number, some in enumerate(made) for one in some if wanted in told_by(one)}
                found = plan_forgetting(user, chosen, conversation_id=conversation).datasets
                assert {int(one.folder.name[1:]) for one in found} == of_it


questions = st.sampled_from([question for question, _, _ in [*ASKED["ann"][:2], *ASKED["bob"][:1]]])
ratings = st.fixed_dictionaries(
    {
        "query": questions | questions.map(str.upper),
        "rating": st.sampled_from([1, 3, 5]),
        "document_ids": st.sampled_from([one["id"] for one in DOCUMENTS]).map(lambda one: [one]),
        "user_id": st.sampled_from(USERS),
    }
)


def asked_and_rated(rating: dict[str, Any]) -> tuple[str, str]:
    return rating["query"].lower(), rating["document_ids"][0]


@given(st.lists(ratings, min_size=1, max_size=5, unique_by=asked_and_rated))
@settings(max_examples=20)
def test_whoever_is_not_named_has_changed_nothing(given_ratings: list[dict[str, Any]]) -> None:
    """Without their ratings the same examples come out, to the letter; no two of them rate the same."""
    numbered = [{**one, "id": f"f{number}"} for number, one in enumerate(given_ratings)]
    with tempfile.TemporaryDirectory() as folder:
        chosen = isolated(Path(folder))

        def made_of(kept: list[dict[str, Any]]) -> list[TrainingExample]:
            return list(TrainingDataGenerator(chosen, documents=DOCUMENTS, feedback=kept).iter_training_data())

        def texts(made: list[TrainingExample]) -> set[tuple[Any, ...]]:
            return {(one.query, one.response, frozenset(one.negatives), one.label) for one in made}

        everything = made_of(numbered)
        if everything:
            write_dataset(everything, [], GenerationMetrics(), chosen)
        for user in USERS:
            if not plan_forgetting(user, chosen).datasets:
                assert texts(made_of([one for one in numbered if one["user_id"] != user])) == texts(everything)
