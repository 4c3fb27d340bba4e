"""Which prompt a name stands for: layer, version, locale, variant; every step told, nothing silent."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError, TemplateNotFoundError, TemplateSyntaxError
from ragtime.utils.templates import PromptManager


def _write(folder: Path, *prompts: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, prompt in enumerate(prompts):
        (folder / f"{prompt['name']}.{number}.json").write_text(json.dumps({"template": "x", **prompt}))
    return folder


def _settings(directory: Path | None = None, **templates: Any) -> Settings:
    changes = {f"templates__{name}": value for name, value in templates.items()}
    return get_settings().replace(templates__directory=directory, **changes)


# --- layers ---------------------------------------------------------------------------------------------------------


def test_packaged_then_user_then_explicit_then_added(tmp_path: Path) -> None:
    user = tmp_path / "user"
    _write(user / "prompts", {"name": "greeting", "template": "user {name}"})
    explicit = _write(tmp_path / "explicit", {"name": "greeting", "template": "explicit {name}"})
    assert PromptManager().get_prompt("greeting", name="x").startswith("Hello x!")
    assert PromptManager(settings=_settings(user)).get_prompt("greeting", name="x") == "user x"
    prompts = PromptManager(explicit, settings=_settings(user))
    assert prompts.get_prompt("greeting", name="x") == "explicit x"
    prompts.add({"name": "greeting", "template": "added {name}"})
    assert prompts.get_prompt("greeting", name="x") == "added x"
    assert [entry.layer for entry in prompts.entries() if entry.definition.name == "greeting"] == [
        "added",
        "explicit",
        "user",
        "packaged",
    ]
    assert prompts.explain("greeting").layer == "added"
    assert prompts.get_prompt("judge", query="q", passage="p").endswith("Judge the passage as a JSON object.")


def test_an_explicit_path_may_be_one_file(tmp_path: Path) -> None:
    _write(tmp_path, {"name": "greeting", "template": "one {name}"}, {"name": "other"})
    prompts = PromptManager(tmp_path / "greeting.0.json")
    assert prompts.get_prompt("greeting", name="x") == "one x"
    with pytest.raises(TemplateNotFoundError):
        prompts.get("other")


def test_the_folder_of_the_current_settings_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragtime.config.settings import reload_settings

    _write(tmp_path / "mine" / "prompts", {"name": "mine", "template": "mine"})
    monkeypatch.setenv("RAGTIME_TEMPLATES__DIRECTORY", str(tmp_path / "mine"))
    reload_settings()
    assert PromptManager().get_prompt("mine") == "mine"


def test_a_user_folder_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert "greeting" in PromptManager(settings=_settings(tmp_path / "nowhere")).list_prompts()


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="There is no folder or file of prompts"):
        PromptManager(tmp_path / "nowhere")


def test_a_stronger_layer_wins_even_with_a_lower_version(tmp_path: Path) -> None:
    _write(tmp_path / "user" / "prompts", {"name": "p", "version": "9", "template": "user"})
    explicit = _write(tmp_path / "explicit", {"name": "p", "version": "1", "template": "explicit"})
    prompts = PromptManager(explicit, settings=_settings(tmp_path / "user"))
    assert prompts.get_prompt("p") == "explicit"
    assert prompts.get("p", version=9).render() == "user"


def test_a_broken_user_file_is_an_error_and_no_silent_fall_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "greeting.json").write_text("{")
    prompts = PromptManager(tmp_path)
    with pytest.raises(TemplateSyntaxError, match=r"Prompt 'greeting': the file .*greeting\.json not JSON"):
        prompts.get("greeting")
    with pytest.raises(TemplateSyntaxError, match=r"greeting\.json"):
        prompts.explain("greeting")
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.getMessage() == "A prompt file cannot be used"
    assert (vars(told)["file"], vars(told)["kept"]) == ("greeting.json", False)
    prompts.add({"name": "greeting", "template": "added"})
    assert prompts.get_prompt("greeting") == "added"


def test_a_prompt_whose_template_is_wrong_is_an_error_and_no_silent_fall_back(tmp_path: Path) -> None:
    _write(tmp_path, {"name": "greeting", "template": "{% if %}"})
    with pytest.raises(TemplateSyntaxError, match="'greeting', line 1"):
        PromptManager(tmp_path).get("greeting")


def test_a_broken_file_of_one_locale_leaves_the_others(tmp_path: Path) -> None:
    """It would not win: nobody has asked for German."""
    _write(tmp_path, {"name": "foo", "locale": "en", "template": "english"})
    (tmp_path / "foo.de.json").write_text(json.dumps({"name": "foo", "locale": "de"}))
    assert PromptManager(tmp_path).get_prompt("foo") == "english"


def test_two_files_of_the_same_key_are_told_and_the_first_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("b", "second"), ("a", "first")):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": "p", "template": text}))
    prompts = PromptManager(tmp_path)
    assert prompts.get_prompt("p") == "first"
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "same name, version and locale as a.json" in vars(told)["reason"]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("greting", "greeting"), ("Greeting", "greeting"), ("query_generation", "query-generation"), ("judgee", "judge")],
)
def test_the_nearest_name_is_told(name: str, nearest: str) -> None:
    with pytest.raises(TemplateNotFoundError, match=f"There is no prompt '{name}'; did you mean '{nearest}'?"):
        PromptManager().get(name)


def test_all_names_are_told_when_none_is_near() -> None:
    with pytest.raises(TemplateNotFoundError, match=r"there are: answer, condense-question, .*summarise"):
        PromptManager().get("zzzz")


@pytest.mark.parametrize(
    "name", ["", "../greeting", "/etc/passwd", "greeting.json", "a b", "a\0", "x" * 1000, "{{ 7 }}"]
)
def test_what_cannot_be_a_name_is_not_found(name: str) -> None:
    with pytest.raises(TemplateNotFoundError):
        PromptManager().get(name)


def test_names_are_listed_sorted_and_by_category(tmp_path: Path) -> None:
    folder = _write(
        tmp_path, {"name": "b", "category": "mine"}, {"name": "a", "category": "mine"}, {"name": "a", "version": "2"}
    )
    prompts = PromptManager(folder)
    assert prompts.list_prompts("mine") == ["a", "b"]
    assert prompts.list_prompts("nothing") == []
    assert prompts.list_prompts() == sorted(prompts.list_prompts())
    assert prompts.list_prompts("context") == ["follow-up", "initial", "with-previous-content"]


# --- versions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ascending",
    [
        ["1.9", "1.10"],
        ["2-beta", "2"],
        ["2-alpha", "2-beta", "2-beta2", "2-rc1", "2", "2.0", "2.0.1", "10"],
        ["2026-01-31", "2026-02-01", "2026-11-01"],
        ["9", "10", "100"],
        ["v1", "v2", "v10"],
    ],
)
def test_the_highest_version_is_taken_and_numbers_count_as_numbers(tmp_path: Path, ascending: list[str]) -> None:
    for highest in range(1, len(ascending) + 1):
        shuffled = sorted(ascending[:highest], key=lambda version: (version[::-1], version))
        folder = _write(
            tmp_path / str(highest), *({"name": "p", "version": version, "template": version} for version in shuffled)
        )
        prompts = PromptManager(folder)
        assert prompts.get_prompt("p") == ascending[highest - 1]
        assert {prompts.get("p", version=version).render() for version in shuffled} == set(shuffled)


def test_a_version_may_be_asked_for_as_a_number(tmp_path: Path) -> None:
    prompts = PromptManager(_write(tmp_path, {"name": "p", "version": "1"}, {"name": "p", "version": "2"}))
    assert prompts.get("p", version=1).source.version == "1"
    assert prompts.explain("p", version=1).source.version == "1"


def test_a_version_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    prompts = PromptManager(
        _write(
            tmp_path, *({"name": "p", "version": version} for version in ("1.10", "1.9")), {"name": "p", "locale": "de"}
        )
    )
    with pytest.raises(TemplateNotFoundError, match=r"in version 3; .* versions 1, 1.9, 1.10 and the locales any, de"):
        prompts.get("p", version=3)


# --- locales --------------------------------------------------------------------------------------------------------


@pytest.fixture
def portuguese(tmp_path: Path) -> PromptManager:
    return PromptManager(
        _write(
            tmp_path,
            {"name": "a", "locale": "pt-BR", "template": "pt-BR"},
            {"name": "a", "locale": "pt", "template": "pt"},
            {"name": "a", "template": "any"},
            {"name": "b", "locale": "pt", "template": "pt", "version": "1"},
            {"name": "b", "template": "any", "version": "9"},
            {"name": "c", "template": "any"},
            {"name": "d", "locale": "en", "template": "en"},
            {"name": "e", "locale": "fr", "template": "fr"},
        )
    )


@pytest.mark.parametrize(
    ("name", "locale", "expected"),
    [
        ("a", "pt-BR", "pt-BR"),
        ("a", "pt_br", "pt-BR"),
        ("a", "pt-PT", "pt"),
        ("a", "pt", "pt"),
        ("a", "fr", "any"),
        ("a", None, "any"),
        ("b", "pt-BR", "pt"),
        ("b", "de", "any"),
        ("c", "pt-BR", "any"),
        ("d", "pt-BR", "en"),
        ("d", "en-GB", "en"),
    ],
)
def test_the_most_special_locale_is_taken(
    portuguese: PromptManager, name: str, locale: str | None, expected: str
) -> None:
    assert portuguese.get(name, locale=locale).render() == expected


def test_a_locale_that_there_is_not_is_told_with_those_that_there_are(portuguese: PromptManager) -> None:
    with pytest.raises(TemplateNotFoundError, match="'e' in locale de; there are the versions 1 and the locales fr"):
        portuguese.get("e", locale="de")
    with pytest.raises(TemplateNotFoundError, match="'e' in the default locale"):
        portuguese.get("e")


@pytest.mark.parametrize("locale", ["", "e", "../x", "en US", "en-", "deutschland-de"])
def test_what_is_no_locale_is_refused(portuguese: PromptManager, locale: str) -> None:
    with pytest.raises(InvalidArgumentError, match="a locale looks like en"):
        portuguese.get("a", locale=locale)


def test_a_fall_back_is_told_once_in_the_log_and_always_in_explain(
    portuguese: PromptManager, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert portuguese.get("d", locale="fr").render() == "en"
        portuguese.reload()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.getMessage() == "Another prompt is taken than was asked for"
    assert vars(warning)["reason"] == "there is none in fr; en is taken"
    assert "d" in vars(warning).values()  # the name of the prompt, which is no content and not to be redacted
    for _ in range(2):
        explanation = portuguese.explain("d", locale="fr")
        assert explanation.fallback == "there is none in fr; en is taken"
        assert str(explanation).endswith("fallback: there is none in fr; en is taken")


def test_a_prompt_for_every_language_is_no_fall_back(
    portuguese: PromptManager, caplog: pytest.LogCaptureFixture
) -> None:
    assert portuguese.explain("c", locale="fr").fallback is None
    portuguese.get("c", locale="fr")
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("default", ["pt-BR", "pt_BR", "PT-br", "pt_br"])
def test_the_default_locale_is_that_of_the_settings_however_it_is_written(tmp_path: Path, default: str) -> None:
    folder = _write(
        tmp_path, {"name": "a", "locale": "pt-BR", "template": "pt"}, {"name": "a", "locale": "en", "template": "en"}
    )
    prompts = PromptManager(folder, settings=_settings(locale=default))
    assert prompts.get_prompt("a") == "pt"
    assert prompts.get("a", locale="fr").render() == "pt"


def test_the_default_locale_wins_over_layers(tmp_path: Path) -> None:
    user = tmp_path / "user"
    _write(user / "prompts", {"name": "p", "locale": "de", "template": "user de"})
    explicit = _write(tmp_path / "explicit", {"name": "p", "locale": "en", "template": "explicit en"})
    prompts = PromptManager(explicit, settings=_settings(user, locale="de"))
    assert prompts.get_prompt("p") == "user de"
    assert prompts.get("p", locale="en").render() == "explicit en"


# --- variants -------------------------------------------------------------------------------------------------------


def _weighted(version: str = "1", **weights: float) -> dict[str, Any]:
    variants = {name: {"template": name, "weight": weight} for name, weight in weights.items() if name != "own"}
    return {
        "name": "p", "version": version, "template": "own", "weight": weights.get("own", 1), "variants": variants
    }  # fmt: skip


def test_a_variant_by_name() -> None:
    prompts = PromptManager()
    prompts.add(_weighted(short=1))
    assert prompts.get("p").render() == "own"
    short = prompts.get("p", variant="short")
    assert (short.render(), short.source.variant) == ("short", "short")
    assert short.source.content_hash != prompts.get("p").source.content_hash
    with pytest.raises(TemplateNotFoundError, match="no variant 'shrt'; did you mean 'short'\\?; there are: short"):
        prompts.get("p", variant="shrt")
    with pytest.raises(TemplateNotFoundError, match="there are: none"):
        prompts.get("greeting", variant="x")
    with pytest.raises(InvalidArgumentError, match="either a variant or a subject"):
        prompts.get("p", variant="short", subject="u")


def test_ten_thousand_subjects_are_shared_out_by_the_weights() -> None:
    prompts = PromptManager()
    prompts.add(_weighted(own=5, long=3, short=2))
    shares = Counter(prompts.get("p", subject=f"user-{number}").render() for number in range(10_000))
    assert sum(shares.values()) == 10_000
    for name, share in {"own": 0.5, "long": 0.3, "short": 0.2}.items():
        assert abs(shares[name] / 10_000 - share) < 0.01


def test_the_choice_of_a_subject_is_pinned() -> None:
    """Choices must not change with a release, a machine or a Python: subjects would be shuffled in mid-experiment."""
    prompts = PromptManager()
    prompts.add(_weighted(own=1, long=1, short=1))
    chosen = {subject: prompts.get("p", subject=subject).render() for subject in ("", "ann", "bob", "Ärger", "0", "1")}
    assert chosen == PINNED


PINNED = {"": "short", "ann": "long", "bob": "long", "Ärger": "own", "0": "own", "1": "long"}


def test_the_choice_stays_with_a_new_version_layer_or_wording(tmp_path: Path) -> None:
    prompts = PromptManager()
    prompts.add(_weighted(own=1, short=1))
    subjects = [f"s{number}" for number in range(200)]
    before = [prompts.get("p", subject=subject).source.variant for subject in subjects]
    prompts.add(_weighted("2", own=1, short=1))
    after = [prompts.get("p", subject=subject) for subject in subjects]
    assert [prompt.source.variant for prompt in after] == before
    assert {prompt.source.version for prompt in after} == {"2"}
    saved = PromptManager(_write(tmp_path, _weighted("3", own=1, short=1)))
    assert [saved.get("p", subject=subject).source.variant for subject in subjects] == before
    assert set(before) == {None, "short"}


def test_a_weight_of_zero_is_never_chosen() -> None:
    prompts = PromptManager()
    prompts.add(_weighted(own=0, none=0, some=1))
    assert {prompts.get("p", subject=str(number)).render() for number in range(500)} == {"some"}
    assert {PromptManager().get("answer", subject=str(number)).source.variant for number in range(500)} == {None}


def test_weights_of_zero_alone_choose_nothing() -> None:
    prompts = PromptManager()
    prompts.add(_weighted(own=0, other=0))
    with pytest.raises(InvalidArgumentError, match="the weights of all variants are 0"):
        prompts.get("p", subject="x")
    assert prompts.get("p").render() == "own"


# --- explanations and log events ------------------------------------------------------------------------------------


def test_an_explanation_tells_file_and_steps(tmp_path: Path) -> None:
    folder = _write(tmp_path, {"name": "p", "version": "2", "locale": "de", "variants": {"v": {"template": "y"}}})
    explanation = PromptManager(folder).explain("p", locale="de-AT", variant="v")
    file = (folder / "p.0.json").resolve()
    assert (explanation.layer, explanation.file, explanation.fallback) == ("explicit", file, None)
    lines = str(explanation).splitlines()
    assert lines[0] == f"p, version 2, locale de, variant v (explicit: {file})"
    assert lines[1] == f"  content hash {explanation.source.content_hash}"
    assert lines[2:] == [
        "  added, locale de-AT: nothing",
        f"  explicit, locale de-AT: version 2, locale de, {file}",
        f"  taken: version 2, locale de, {file}",
    ]


def test_an_explanation_of_what_code_has_added() -> None:
    prompts = PromptManager()
    prompts.add({"name": "p", "template": "x"})
    explanation = prompts.explain("p")
    assert (explanation.layer, explanation.file) == ("added", None)
    assert str(explanation).splitlines()[0] == "p, version 1, locale any (added)"


def test_explain_and_get_agree(tmp_path: Path) -> None:
    folder = _write(
        tmp_path,
        {"name": "p", "version": "1", "locale": "de"},
        {"name": "p", "version": "2", "locale": "de"},
        {"name": "p", "version": "3"},
    )
    prompts = PromptManager(folder)
    for version in (None, "1", 2, "3"):
        for locale in (None, "de", "fr"):
            try:
                found = prompts.get("p", version=version, locale=locale).source
            except TemplateNotFoundError:
                with pytest.raises(TemplateNotFoundError):
                    prompts.explain("p", version=version, locale=locale)
            else:
                assert prompts.explain("p", version=version, locale=locale).source == found


def test_loading_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _write(tmp_path, {"name": "p"})
    (tmp_path / "q.json").write_text("{")
    caplog.set_level(logging.INFO)
    PromptManager(tmp_path)
    (end,) = [record for record in caplog.records if record.levelno == logging.INFO]
    assert (end.getMessage(), vars(end)["operation"]) == ("load_prompts finished", "load_prompts")
    known = len(PromptManager().list_prompts()) + 1
    assert (vars(end)["prompts"], vars(end)["changed"], vars(end)["problems"]) == (known, 2, 1)


def test_a_reload_is_logged_and_a_look_at_each_use_only_at_debug(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    prompts = PromptManager(_write(tmp_path, {"name": "p"}), settings=_settings(auto_reload=True))
    caplog.clear()
    prompts.get("p")
    assert not caplog.records
    prompts.reload()
    (end,) = caplog.records
    assert (end.getMessage(), vars(end)["changed"]) == ("reload_prompts finished", 0)


def test_no_log_event_holds_a_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    prompts = PromptManager()
    prompts.get_prompt("greeting", name="canary")
    with pytest.raises(ValueError, match="wrong variables"):
        prompts.get_prompt("greeting", nme="canary")
    assert "canary" not in str([vars(record) for record in caplog.records])
