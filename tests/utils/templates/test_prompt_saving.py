"""Prompts added, saved and removed while the application runs."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ragtime.config.settings import get_settings
from ragtime.errors import InvalidArgumentError, StorageError, TemplateNotFoundError, TemplateSyntaxError
from ragtime.utils.templates import PromptDefinition, PromptManager


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- add ------------------------------------------------------------------------------------------------------------


def test_a_prompt_is_added_as_a_definition_or_as_its_fields() -> None:
    prompts = PromptManager()
    assert prompts.add({"name": "a", "template": "A {x}"}).render(x=1) == "A 1"
    assert prompts.add(PromptDefinition(name="b", template="B")).render() == "B"
    assert {"a", "b"} <= set(prompts.list_prompts())
    assert "a" not in PromptManager().list_prompts()


def test_an_added_prompt_is_overwritten_only_when_that_is_said() -> None:
    prompts = PromptManager()
    prompts.add({"name": "a", "template": "1"})
    with pytest.raises(InvalidArgumentError, match=r"'a' was already added .* overwrite=True"):
        prompts.add({"name": "a", "template": "2"})
    assert prompts.get_prompt("a") == "1"
    prompts.add({"name": "a", "template": "de", "locale": "de"})
    prompts.add({"name": "a", "template": "3"}, overwrite=True)
    assert prompts.get_prompt("a") == "3"
    assert prompts.get("a", locale="de").render() == "de"


@pytest.mark.parametrize(
    "fields",
    [
        {"template": "{{ x }}", "variables": {}},
        {"template": "{% include 'nothing' %}"},
        {"template": "x", "variants": {"v": {"template": "{% if %}"}}},
        {"template": "{% for %}"},
        {},
    ],
)
def test_a_wrong_prompt_is_not_added_and_keeps_the_old_one(fields: dict[str, Any]) -> None:
    prompts = PromptManager()
    prompts.add({"name": "a", "template": "old"})
    with pytest.raises((TemplateSyntaxError, TemplateNotFoundError)):
        prompts.add({"name": "a", **fields}, overwrite=True)
    assert prompts.get_prompt("a") == "old"


# --- save -----------------------------------------------------------------------------------------------------------


def test_an_added_prompt_is_saved_by_name_and_then_comes_from_its_file(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    prompts.add({"name": "a", "template": "ä {x}", "variables": {"x": {"default": None}}})
    file = prompts.save("a")
    assert file == tmp_path.resolve() / "a.json"
    assert json.loads(file.read_text(encoding="utf-8")) == {
        "template": "ä {x}",
        "name": "a",
        "variables": {"x": {"required": False}},
    }
    assert prompts.explain("a").layer == "explicit"
    assert PromptManager(tmp_path).get_prompt("a") == "ä "
    with pytest.raises(TemplateNotFoundError, match="0 prompts of the name 'a' were added"):
        prompts.save("a")


def test_a_definition_or_its_fields_are_saved_directly(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    prompts.save(PromptDefinition(name="a", template="A"))
    prompts.save({"name": "b", "template": "B"})
    assert (prompts.get_prompt("a"), prompts.get_prompt("b")) == ("A", "B")
    assert _names(tmp_path) == ["a.json", "b.json"]


def test_the_user_folder_is_made_when_it_is_not_there(tmp_path: Path) -> None:
    prompts = PromptManager(settings=get_settings().replace(templates__directory=tmp_path / "mine"))
    prompts.save({"name": "a", "template": "A"})
    assert (tmp_path / "mine" / "prompts" / "a.json").is_file()
    assert prompts.explain("a").layer == "user"


def test_files_are_named_after_version_and_locale(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    for fields in ({}, {"version": "1.10"}, {"locale": "pt-BR"}, {"version": "2", "locale": "de"}):
        prompts.save({"name": "a", "template": "x", **fields})
    assert _names(tmp_path) == ["a.json", "a.pt-BR.json", "a.v1.10.json", "a.v2.de.json"]
    assert len([entry for entry in prompts.entries() if entry.layer == "explicit"]) == 4


def test_a_prompt_is_saved_over_the_file_that_holds_it_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "my own name.json").write_text(json.dumps({"name": "a", "template": "old"}))
    prompts = PromptManager(tmp_path)
    assert prompts.save({"name": "a", "template": "new"}).name == "my own name.json"
    assert prompts.get_prompt("a") == PromptManager(tmp_path).get_prompt("a") == "new"
    assert _names(tmp_path) == ["deep"]


def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    prompts = PromptManager(tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"The file 'a.json' is there, and holds something else"):
        prompts.save({"name": "a", "template": "x"})
    assert (tmp_path / "a.json").read_text() == "{"


def test_one_file_as_path_takes_its_own_prompt_alone(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"name": "a", "template": "old"}))
    prompts = PromptManager(tmp_path / "a.json")
    prompts.save({"name": "a", "template": "new"})
    assert prompts.get_prompt("a") == "new"
    with pytest.raises(InvalidArgumentError, match="another prompt needs a folder"):
        prompts.save({"name": "b", "template": "x"})


def test_without_a_folder_nothing_is_saved_and_nothing_is_lost() -> None:
    prompts = PromptManager()
    prompts.add({"name": "a", "template": "A"})
    with pytest.raises(InvalidArgumentError, match="There is no folder to save prompts in"):
        prompts.save("a")
    assert prompts.get_prompt("a") == "A"


@pytest.mark.parametrize(
    "fields",
    [{"template": "\ud800"}, {"template": "x", "metadata": {"a": float("inf")}}],
    ids=["surrogate", "infinity"],
)
def test_a_save_that_fails_keeps_the_old_file_and_leaves_nothing_behind(tmp_path: Path, fields: dict[str, Any]) -> None:
    prompts = PromptManager(tmp_path)
    prompts.save({"name": "a", "template": "old"})
    before = (tmp_path / "a.json").read_bytes()
    with pytest.raises((StorageError, InvalidArgumentError, TemplateSyntaxError)):
        prompts.save({"name": "a", **fields})
    assert (tmp_path / "a.json").read_bytes() == before
    assert _names(tmp_path) == ["a.json"]
    assert prompts.get_prompt("a") == "old"


def test_a_wrong_prompt_is_not_saved(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    for fields in ({"template": "{% if %}"}, {"template": "{{ x }}", "variables": {}}, {}):
        with pytest.raises(TemplateSyntaxError):
            prompts.save({"name": "a", **fields})
    assert _names(tmp_path) == []


def test_of_several_added_under_a_name_none_is_saved_by_it(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    prompts.add({"name": "a", "template": "1"})
    prompts.add({"name": "a", "template": "2", "version": "2"})
    with pytest.raises(TemplateNotFoundError, match="2 prompts of the name 'a' were added"):
        prompts.save("a")


def test_saving_and_removing_are_logged_without_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prompts = PromptManager(tmp_path)
    caplog.set_level(logging.DEBUG)
    prompts.save({"name": "a", "template": "canary"})
    prompts.remove("a")
    assert [record.getMessage() for record in caplog.records] == ["Prompt saved", "Prompt removed"]
    assert "canary" not in str([vars(record) for record in caplog.records])
    assert vars(caplog.records[0])["file"] == "a.json"


# --- remove ---------------------------------------------------------------------------------------------------------


def test_a_removed_prompt_makes_way_for_the_packaged_one(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    prompts.save({"name": "greeting", "template": "mine {name}"})
    prompts.add({"name": "greeting", "template": "added {name}"})
    assert prompts.get_prompt("greeting", name="x") == "added x"
    assert prompts.remove("greeting") == 2
    assert prompts.get_prompt("greeting", name="x").startswith("Hello x!")
    assert _names(tmp_path) == []


def test_a_packaged_prompt_cannot_be_removed(tmp_path: Path) -> None:
    for prompts in (PromptManager(), PromptManager(tmp_path)):
        with pytest.raises(TemplateNotFoundError, match=r"no prompt 'greeting' to remove .* packaged ones stay"):
            prompts.remove("greeting")
        assert "greeting" in prompts.list_prompts()


def _several(folder: Path) -> PromptManager:
    prompts = PromptManager(folder)
    for fields in ({}, {"version": "2"}, {"locale": "pt-BR"}, {"version": "2", "locale": "pt-BR"}):
        prompts.save({"name": "a", "template": "x", **fields})
    return prompts


@pytest.mark.parametrize(
    ("asked", "removed"),
    [
        ({}, 4),
        ({"version": "2"}, 2),
        ({"version": 2}, 2),
        ({"locale": "pt-BR"}, 2),
        ({"locale": "pt_br"}, 2),
        ({"version": 2, "locale": "pt-BR"}, 1),
    ],
)
def test_versions_and_locales_are_removed_as_get_finds_them(
    tmp_path: Path, asked: dict[str, Any], removed: int
) -> None:
    prompts = _several(tmp_path)
    assert prompts.remove("a", **asked) == removed
    assert len(_names(tmp_path)) == 4 - removed


def test_what_is_not_there_cannot_be_removed(tmp_path: Path) -> None:
    prompts = _several(tmp_path)
    for asked in ({"version": "3"}, {"locale": "de"}):
        with pytest.raises(TemplateNotFoundError, match="no prompt 'a' to remove in this version and locale"):
            prompts.remove("a", **asked)
    assert len(_names(tmp_path)) == 4


def test_only_the_folder_that_is_written_to_loses_files(tmp_path: Path) -> None:
    user = tmp_path / "user"
    (user / "prompts").mkdir(parents=True)
    (user / "prompts" / "a.json").write_text(json.dumps({"name": "a", "template": "user"}))
    (tmp_path / "explicit").mkdir()
    prompts = PromptManager(tmp_path / "explicit", settings=get_settings().replace(templates__directory=user))
    prompts.save({"name": "a", "template": "explicit"})
    assert prompts.remove("a") == 1
    assert prompts.get_prompt("a") == "user"


# --- any definition -------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
NAME = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True).filter(
    lambda name: name not in {"con", "prn", "aux", "nul"}
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PLAIN = TEXT.map(lambda text: text.replace("{", "").replace("}", ""))
TEMPLATE = st.one_of(PLAIN, PLAIN.map("{x}".__add__), PLAIN.map("{{{{ x }}}} {{% if x %}}{0}{{% endif %}}".format))
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant", "tool"]), "template": TEMPLATE}),
    st.fixed_dictionaries({"insert": st.just("h")}, optional={"roles": st.just(["system", "user"])}),
    st.fixed_dictionaries({"examples": st.fixed_dictionaries({"user": PLAIN, "assistant": PLAIN})}),
)
BODY = st.one_of(
    st.fixed_dictionaries({"template": TEMPLATE}),
    st.fixed_dictionaries({"messages": st.lists(MESSAGE, min_size=1, max_size=3)}),
)
VARIANT = st.builds(
    lambda body, weight: {**body, **weight}, BODY, st.fixed_dictionaries({}, optional={"weight": st.floats(0, 9)})
)
VARIABLE = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"description": TEXT, "required": st.booleans(), "max_characters": st.integers(1, 9)}
    ),
    st.fixed_dictionaries({"type": st.just("any"), "default": VALUE}, optional={"priority": st.integers()}),
    st.fixed_dictionaries({"type": st.sampled_from(["list", "object", "number"])}, optional={"cut": st.just("middle")}),
)
HISTORY = st.fixed_dictionaries({"type": st.just("messages")}, optional={"default": st.none(), "priority": st.just(1)})
DEFINITION = st.builds(
    lambda body, rest: {**body, **rest},
    BODY,
    st.fixed_dictionaries(
        {"name": NAME},
        optional={
            "category": NAME,
            "description": TEXT,
            "version": st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3})?(-[a-z]{1,4})?", fullmatch=True) | st.integers(0, 99),
            "locale": st.sampled_from(["en", "pt_br", "zh-hant-tw"]),
            "variables": st.fixed_dictionaries({"x": VARIABLE, "h": HISTORY}),
            "partials": st.dictionaries(st.sampled_from(["one", "two"]), PLAIN),
            "examples": st.lists(st.dictionaries(TEXT, VALUE, max_size=3), max_size=2),
            "example_separator": TEXT,
            "variants": st.dictionaries(NAME, VARIANT, max_size=2),
            "weight": st.floats(0, 100),
            "tests": st.lists(
                st.fixed_dictionaries(
                    {"variables": st.dictionaries(TEXT, VALUE, max_size=2)},
                    optional={"equals": TEXT, "contains": st.lists(TEXT, max_size=2), "roles": st.just(["user"])},
                ),
                max_size=2,
            ),
            "metadata": st.dictionaries(TEXT, VALUE, max_size=3),
        },
    ),
)


@hypothesis_settings(max_examples=60)
@given(DEFINITION)
def test_any_definition_saved_and_read_again_is_the_same(fields: dict[str, Any]) -> None:
    definition = PromptDefinition.model_validate(fields)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        prompts = PromptManager(folder)
        added = prompts.add(definition)
        file = prompts.save(definition.name)
        key = {"version": definition.version, "locale": definition.locale}
        for manager in (prompts, PromptManager(folder)):
            (entry,) = [entry for entry in manager.entries() if entry.layer == "explicit"]
            assert entry.definition == definition
            assert entry.file == file
            assert manager.get(definition.name, **key).source.content_hash == added.source.content_hash
        first = file.read_bytes()
        prompts.save(definition)
        assert file.read_bytes() == first
