"""Prompts and pages of an application's own: loaded from its folder, rendered, checked, changed while it runs.

The folder is the one that the settings name, so that everything of ragtime that uses prompts takes them, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings, override_settings
from ragtime.errors import (
    RenderLimitError,
    TemplateError,
    TemplateNotFoundError,
    TemplateSyntaxError,
    TemplateVariableError,
)
from ragtime.services.conversation import ConversationManager
from ragtime.services.training_data_gen import TrainingDataGenerator
from ragtime.testing import HashEncoder, ScriptedGenerator
from ragtime.utils.templates import TemplateManager

ANSWER: dict[str, Any] = {
    "name": "support-answer",
    "category": "answer",
    "version": "2",
    "messages": [
        {"role": "system", "template": ["You answer customers of {{ shop }}.", "Use only what the handbook says."]},
        {"insert": "history"},
        {
            "role": "user",
            "template": "{% for page in pages %}[{{ loop.index }}] {{ page.text }}\n{% endfor %}\n{{ question }}",
        },
    ],
    "variables": {
        "shop": {"default": "the shop"},
        "history": {"type": "messages", "default": None, "priority": 1, "cut": "start"},
        "pages": {"type": "list"},
        "question": {},
    },
    "tests": [
        {
            "variables": {"pages": [{"text": "Returns are free."}], "question": "{{ 7 * 7 }}?"},
            "contains": ["[1] Returns are free.", "{{ 7 * 7 }}?"],
            "roles": ["system", "user"],
        }
    ],
}
PAGE = (
    "{# variables: title, answer, sources? #}\n"
    "{% extends 'base.html' %}\n"
    "{% block main %}<h1>{{ title }}</h1><p>{{ answer }}</p>\n"
    '{% for one in sources|default([]) %}<a href="{{ one|safe_url }}">{{ one }}</a>{% endfor %}{% endblock %}\n'
)
PAGES = [{"text": "Returns are free for 30 days."}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an application: one prompt, one page."""
    for name, text in (("prompts/support-answer.json", json.dumps(ANSWER)), ("pages/answer.html", PAGE)):
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "templates"


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Settings:
    return Settings.isolated(
        data_dir=tmp_path / "data", logging__progress="off", conport__mode="off", templates__directory=folder
    )


@pytest.fixture
def templates(settings: Settings) -> TemplateManager:
    return TemplateManager(settings=settings)


def put(folder: Path, name: str, **changes: Any) -> None:
    """Write a prompt file."""
    (folder / "prompts" / f"{name}.json").write_text(json.dumps({"name": name, **changes}), encoding="utf-8")


def problems(error: TemplateVariableError) -> list[tuple[str, str, int | None]]:
    return [(problem.variable, problem.kind, problem.line) for problem in error.problems]


# --- the flow, from the folder to an answer on a page ---------------------------------------------------------------


def test_loaded_rendered_answered_and_shown(templates: TemplateManager, settings: Settings) -> None:
    assert "support-answer" in templates.prompts.list_prompts("answer")
    assert "answer.html" in templates.pages.list_templates()
    assert templates.prompts.explain("support-answer").layer == "user"

    with ConversationManager(settings, encoder=HashEncoder()) as manager:
        conversation = manager.create_conversation()
        conversation.add_exchange("Do you sell boots?", "Yes, {{ shop }} does.")
        messages = templates.get_messages(
            "support-answer",
            shop="Heron",
            history=conversation.window(500).to_messages(),
            pages=PAGES,
            question="How long are <b>returns</b> free?",
        )
        assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
        assert messages[0]["content"] == "You answer customers of Heron.\nUse only what the handbook says."
        assert messages[2]["content"] == "Yes, {{ shop }} does."  # what was said is no template
        assert messages[3]["content"] == "[1] Returns are free for 30 days.\n\nHow long are <b>returns</b> free?"
        assert messages.source.name == "support-answer"
        assert messages.source.version == "2"

        model = ScriptedGenerator(["For 30 <script>alert(1)</script> days."])
        answer = model.generate(list(messages))
        _, kept = conversation.add_exchange(
            "How long are <b>returns</b> free?", answer, metadata={"prompt": messages.source.content_hash}
        )

    html = templates.render(
        "answer.html",
        title="How long are <b>returns</b> free?",
        answer=kept.content,
        sources=["https://shop.example/returns", "javascript:alert(1)"],
    )
    assert "<h1>How long are &lt;b&gt;returns&lt;/b&gt; free?</h1>" in html
    assert "For 30 &lt;script&gt;alert(1)&lt;/script&gt; days." in html
    assert '<a href="https://shop.example/returns">' in html
    assert 'href="javascript' not in html
    assert html.strip().startswith("<!DOCTYPE html>")  # from the packaged base.html


def test_the_services_take_the_prompts_of_the_folder(folder: Path, settings: Settings) -> None:
    """What ragtime itself asks a model for is worded by the application where it has a prompt of that name."""
    put(
        folder,
        "query-generation",
        messages=[{"role": "user", "template": "Ask {{ count }} things about {{ title }}: {{ passage }}"}],
        variables={"passage": {}, "count": {"type": "integer"}, "title": {"default": None}},
    )
    put(
        folder,
        "memory",
        template="Known: {% for turn in turns %}{{ turn.said }} {% endfor %}",
        variables={"summary": {"default": ""}, "turns": {"type": "list", "default": []}},
    )
    writer = ScriptedGenerator(lambda _: '["Until which day are my returns free?"]')
    generator = TrainingDataGenerator(settings, documents=[{"title": "Returns", **PAGES[0]}], generator=writer)
    made = list(generator.iter_training_data(strategy="synthetic"))
    assert "Until which day are my returns free?" in [example.query for example in made]
    assert writer.calls[0].messages[0]["content"].endswith("things about Returns: Returns are free for 30 days.")

    with ConversationManager(settings, encoder=HashEncoder()) as manager:
        conversation = manager.create_conversation()
        conversation.add_exchange("My parcel has the number 17.", "I have noted parcel 17.")
        for size in range(36, 60):
            conversation.add_exchange(f"What do boots of size {size} cost?", f"They cost {size + 20} euros.")
        memory = conversation.build_context("Which number has my parcel?", 200).messages[0]["content"]
    assert memory.startswith("Known: ")
    assert "parcel 17" in memory


# --- what a user gets wrong, and is told ----------------------------------------------------------------------------


def test_every_wrong_variable_is_told_at_once_with_its_line(templates: TemplateManager) -> None:
    with pytest.raises(TemplateVariableError) as caught:
        templates.get_messages("support-answer", pages="not a list", qestion="sk-secret")
    assert problems(caught.value) == [("question", "missing", 3), ("pages", "mistyped", 1), ("qestion", "extra", None)]
    assert "did you mean 'question'?" in str(caught.value)
    assert "sk-secret" not in str(caught.value)

    with pytest.raises(TemplateVariableError, match=r"title: is missing") as caught:
        templates.render("answer.html", answer="For 30 days.")
    assert problems(caught.value) == [("title", "missing", None)]


@pytest.mark.parametrize(
    ("name", "nearest"), [("suport-answer", "support-answer"), ("anser.html", "answer.html"), ("greting", "greeting")]
)
def test_a_name_that_there_is_not_is_told_with_the_nearest(templates: TemplateManager, name: str, nearest: str) -> None:
    with pytest.raises(TemplateNotFoundError, match=f"did you mean '{nearest}'"):
        templates.render(name)


def test_a_mistake_in_a_template_is_told_with_its_place(folder: Path, settings: Settings) -> None:
    put(folder, "broken", template="Hello\n{% if name %}")
    (folder / "pages" / "broken.html").write_text("<p>\n{{ title", encoding="utf-8")
    templates = TemplateManager(settings=settings)
    with pytest.raises(TemplateSyntaxError, match=r"broken.*line 2"):
        templates.get_prompt("broken", name="Ann")
    with pytest.raises(TemplateSyntaxError, match=r"'broken.html', line 2"):
        templates.render("broken.html", title="Test")
    assert "Ann" in templates.get_prompt("greeting", name="Ann")  # the others work as before


def test_a_template_reaches_neither_code_nor_files_nor_all_the_time_in_the_world(templates: TemplateManager) -> None:
    for attack in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ x.__init__.__globals__ }}",
        "{% include '../../../etc/passwd' %}",
    ):
        with pytest.raises(TemplateError):
            templates.render_string(attack, x="a")
    for bomb in (
        "{{ 'a' * 100000000 }}",
        "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
    ):
        with pytest.raises(RenderLimitError):
            templates.render_string(bomb)


# --- checks ---------------------------------------------------------------------------------------------------------


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """What a continuous integration does."""
    return subprocess.run(
        [sys.executable, "-m", "ragtime", "prompts", "check", "--json"],
        env={**os.environ, "RAGTIME_TEMPLATES__DIRECTORY": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_check_passes_a_sound_folder_and_names_every_mistake_of_another(folder: Path) -> None:
    sound = check(folder)
    assert (sound.returncode, json.loads(sound.stdout)["findings"]) == (0, [])

    wrong = {**ANSWER, "tests": [{**ANSWER["tests"][0], "contains": ["[2]"]}]}
    put(folder, "support-answer", **{name: value for name, value in wrong.items() if name != "name"})
    put(folder, "unused", template="Hello", variables={"name": {"default": ""}})
    (folder / "pages" / "answer.html").write_text("{# variables: title #}<p class={{ title }}>", encoding="utf-8")
    failed = check(folder)
    found = {(finding["template"], finding["rule"]) for finding in json.loads(failed.stdout)["findings"]}
    assert failed.returncode == 1
    assert found == {("support-answer", "P008"), ("unused", "P004"), ("answer.html", "H005")}


# --- changes while it runs ------------------------------------------------------------------------------------------


def test_a_changed_file_is_taken_a_broken_one_is_not_and_a_deleted_one_is_gone(
    folder: Path, templates: TemplateManager
) -> None:
    asked = {"pages": PAGES, "question": "Why?"}
    first = templates.get_messages("support-answer", **asked)
    path = folder / "prompts" / "support-answer.json"

    path.write_text(path.read_text(encoding="utf-8").replace("You answer", "You kindly answer"), encoding="utf-8")
    assert templates.get_messages("support-answer", **asked) == first  # nobody has asked for it
    assert templates.reload() == 1
    second = templates.get_messages("support-answer", **asked)
    assert second[0]["content"].startswith("You kindly answer")
    assert second.source.content_hash != first.source.content_hash

    path.write_text('{"name": "support-answer", "messa', encoding="utf-8")  # an editor is half through
    templates.reload()
    assert templates.get_messages("support-answer", **asked) == second

    path.unlink()
    templates.reload()
    with pytest.raises(TemplateNotFoundError):
        templates.get_messages("support-answer", **asked)


def test_with_auto_reload_nobody_has_to_say_so(folder: Path, settings: Settings) -> None:
    with override_settings(settings.replace(templates__auto_reload=True)):
        templates = TemplateManager()
        put(folder, "welcome", template="Welcome, {name}.")
        assert templates.get_prompt("welcome", name="Ann") == "Welcome, Ann."
        put(folder, "welcome", template="Good day, {name}.")
        assert templates.get_prompt("welcome", name="Ann") == "Good day, Ann."
