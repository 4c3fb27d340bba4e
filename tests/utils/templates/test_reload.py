"""Files that change while they are served: what is read is always whole, never stale, and never an exception."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from ragtime.config.settings import get_settings
from ragtime.errors import TemplateError, TemplateNotFoundError
from ragtime.utils.files import write_text
from ragtime.utils.templates import HTMLTemplateManager, PromptManager

THREADS = 16
OLD = (1_700_000_000_000_000_000, 1_700_000_000_000_000_000)  # nanoseconds, long before any test


class _Kind(Protocol):
    """Prompts or pages, as far as these tests go."""

    file: Path

    def content(self, text: str) -> str: ...
    def broken(self, mark: str) -> str: ...
    def manager(self, *, auto_reload: bool) -> Any: ...
    def read(self, manager: Any) -> str: ...


class _Prompts:
    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "greeting.json"

    def content(self, text: str) -> str:
        return json.dumps({"name": "greeting", "template": f"{text}{{{{ x }}}}", "variables": {"x": {"default": ""}}})

    def broken(self, mark: str) -> str:
        return f'{{"name": "greeting", "{mark}": '

    def manager(self, *, auto_reload: bool) -> PromptManager:
        return PromptManager(self.folder, settings=get_settings().replace(templates__auto_reload=auto_reload))

    def read(self, manager: PromptManager) -> str:
        return str(manager.get_prompt("greeting"))


class _Pages:
    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "template.html"

    def content(self, text: str) -> str:
        return f"{text}{{{{ x|default('') }}}}"

    def broken(self, mark: str) -> str:
        return f"{{% if {mark}"

    def manager(self, *, auto_reload: bool) -> HTMLTemplateManager:
        return HTMLTemplateManager(self.folder, settings=get_settings().replace(templates__auto_reload=auto_reload))

    def read(self, manager: HTMLTemplateManager) -> str:
        return manager.render("template.html")


@pytest.fixture(params=[_Prompts, _Pages], ids=["prompts", "pages"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> _Kind:
    (tmp_path / "served").mkdir()
    return request.param(tmp_path / "served")


@pytest.fixture(params=[True, False], ids=["auto_reload", "reload"])
def served(request: pytest.FixtureRequest, kind: _Kind) -> tuple[_Kind, Any, Callable[[], str]]:
    """A kind, its manager with a first version read, and what reads the newest one."""
    kind.file.write_text(kind.content("v1"))
    manager = kind.manager(auto_reload=request.param)
    assert kind.read(manager) == "v1"

    def newest() -> str:
        if not request.param:
            manager.reload()
        return kind.read(manager)

    return kind, manager, newest


def _errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- one change after the other -------------------------------------------------------------------------------------


def test_a_change_of_the_same_size_in_the_same_moment_is_seen(served) -> None:
    """Editors and file systems may leave size and time stamp as they were."""
    kind, _, newest = served
    for number in range(60):
        kind.file.write_text(kind.content(f"v{number % 10}"))
        os.utime(kind.file, ns=OLD)
        assert newest() == f"v{number % 10}"


def test_a_replaced_file_with_the_same_time_stamp_is_seen(served) -> None:
    kind, _, newest = served
    for number in range(60):
        beside = kind.file.with_name("beside.tmp")
        beside.write_text(kind.content(f"v{number % 10}"))
        os.utime(beside, ns=OLD)
        beside.replace(kind.file)
        assert newest() == f"v{number % 10}"


def test_nothing_is_seen_without_a_reload(kind: _Kind) -> None:
    kind.file.write_text(kind.content("v1"))
    manager = kind.manager(auto_reload=False)
    assert kind.read(manager) == "v1"
    kind.file.write_text(kind.content("v2"))
    assert kind.read(manager) == "v1"
    assert manager.reload() == 1
    assert kind.read(manager) == "v2"
    assert manager.reload() == 0


def test_finding_the_file_of_a_page_is_no_reload(tmp_path: Path) -> None:
    kind = _Pages(tmp_path)
    kind.file.write_text(kind.content("v1"))
    manager = kind.manager(auto_reload=False)
    assert kind.read(manager) == "v1"
    kind.file.write_text(kind.content("v2"))
    assert manager.find("template.html") == kind.file.resolve()
    assert kind.read(manager) == "v1"


def test_a_half_written_file_keeps_the_old_version_and_is_told_once_a_content(
    served, caplog: pytest.LogCaptureFixture
) -> None:
    kind, _, newest = served
    for rounds, mark in enumerate(("a", "b"), start=1):
        kind.file.write_text(kind.broken(mark))
        for _ in range(5):
            assert newest() == "v1"
        assert len(_errors(caplog)) <= rounds  # two contents may be wrong in the same way
    assert vars(_errors(caplog)[0])["kept"]
    caplog.clear()
    kind.file.write_text(kind.content("v2"))
    assert newest() == "v2"
    assert not _errors(caplog)
    kind.file.write_text(kind.broken("a"))
    assert newest() == "v2"
    assert newest() == "v2"
    assert len(_errors(caplog)) == 1, "broken once more, after it was right: that is news"


@pytest.mark.parametrize("wrong", ["{{ x", "{% if %}", "{% include 'nothing' %}", "{{ undeclared }}"])
def test_a_prompt_whose_template_has_become_wrong_keeps_the_old_version(
    tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The JSON is whole, the template in it is not: an application that runs must not fall over it."""
    kind = _Prompts(tmp_path)
    kind.file.write_text(kind.content("v1"))
    manager = kind.manager(auto_reload=False)
    assert kind.read(manager) == "v1"
    kind.file.write_text(kind.content(wrong))
    manager.reload()
    assert kind.read(manager) == "v1"
    assert len(_errors(caplog)) == 1
    assert manager.validate("greeting")


@pytest.mark.parametrize("wrong", [b"\xff\xfe", b"x" * 1_100_000], ids=["not-utf-8", "too-large"])
def test_a_file_that_has_become_no_text_keeps_the_old_version(served, wrong: bytes) -> None:
    kind, _, newest = served
    kind.file.write_bytes(wrong)
    assert newest() == "v1"
    kind.file.write_text(kind.content("v2"))
    assert newest() == "v2"


def test_a_deleted_file_makes_way_for_the_packaged_one_and_comes_back(served) -> None:
    kind, manager, newest = served
    if isinstance(manager, PromptManager):
        kind.read = lambda manager: str(
            manager.get_prompt("greeting", **({"name": "x"} if not kind.file.is_file() else {}))
        )
    else:
        kind.read = lambda manager: manager.render(
            "template.html", **({"title": "x"} if not kind.file.is_file() else {})
        )
    kind.file.unlink()
    assert "x" in newest()
    assert "v1" not in newest()
    kind.file.write_text(kind.content("v2"))
    assert newest() == "v2"
    kind.file.write_text(kind.content("v1"))
    assert newest() == "v1"


def test_a_deleted_file_without_a_weaker_one_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"name": "mine", "template": "x"}))
    (tmp_path / "mine.html").write_text("x")
    prompts, pages = PromptManager(tmp_path), HTMLTemplateManager(tmp_path)
    taken = prompts.get("mine")
    assert pages.render("mine.html") == "x"
    (tmp_path / "mine.json").unlink()
    (tmp_path / "mine.html").unlink()
    assert (prompts.reload(), pages.reload()) == (1, 1)
    with pytest.raises(TemplateNotFoundError):
        prompts.get("mine")
    with pytest.raises(TemplateNotFoundError):
        pages.render("mine.html")
    assert taken.render() == "x"
    (tmp_path / "mine.json").write_text(json.dumps({"name": "mine", "template": "y"}))
    (tmp_path / "mine.html").write_text("y")
    prompts.reload()
    assert (prompts.get_prompt("mine"), pages.render("mine.html")) == ("y", "y")


@pytest.mark.parametrize("stand_in", ["folder", "pipe", "dangling link", "link to itself"])
def test_something_else_in_the_place_of_the_file_never_blocks_or_breaks(served, stand_in: str) -> None:
    kind, manager, newest = served
    kind.file.unlink()
    if stand_in == "folder":
        kind.file.mkdir()
    elif stand_in == "pipe":
        os.mkfifo(kind.file)
    elif stand_in == "dangling link":
        kind.file.symlink_to(kind.file.with_name("nothing"))
    else:
        kind.file.symlink_to(kind.file)
    values = {"name": "x"} if isinstance(manager, PromptManager) else {"title": "x"}
    try:
        found = newest()
    except TemplateError:  # the packaged one is taken, and wants its own variables
        found = (
            manager.get_prompt("greeting", **values) if "name" in values else manager.render("template.html", **values)
        )
    assert found == "v1" or "x" in found
    (kind.file.rmdir if stand_in == "folder" else kind.file.unlink)()
    kind.file.write_text(kind.content("v2"))
    assert newest() == "v2"


def test_an_unreadable_file_keeps_the_old_version(served) -> None:
    """A link to itself cannot be read, not even by root."""
    kind, _, newest = served
    kind.file.unlink()
    kind.file.symlink_to(kind.file)
    assert newest() == "v1"
    kind.file.unlink()
    kind.file.write_text(kind.content("v2"))
    assert newest() == "v2"


def test_a_changed_parent_of_a_page_is_seen(tmp_path: Path) -> None:
    (tmp_path / "parent.html").write_text("old {% block a %}{% endblock %}")
    (tmp_path / "child.html").write_text("{% extends 'parent.html' %}{% block a %}child{% endblock %}")
    pages = HTMLTemplateManager(tmp_path)
    assert pages.render("child.html") == "old child"
    (tmp_path / "parent.html").write_text("new {% block a %}{% endblock %}")
    assert pages.reload() == 1
    assert pages.render("child.html") == "new child"


def test_new_prompts_are_listed_and_explained_with_auto_reload(tmp_path: Path) -> None:
    prompts = _Prompts(tmp_path).manager(auto_reload=True)
    (tmp_path / "new.json").write_text(json.dumps({"name": "new", "template": "x"}))
    assert "new" in prompts.list_prompts()
    (tmp_path / "newer.json").write_text(json.dumps({"name": "newer", "template": "x"}))
    assert prompts.explain("newer").layer == "explicit"


def test_an_added_prompt_outlives_a_reload(tmp_path: Path) -> None:
    prompts = _Prompts(tmp_path).manager(auto_reload=False)
    prompts.add({"name": "mine", "template": "x"})
    (tmp_path / "other.json").write_text(json.dumps({"name": "other", "template": "y"}))
    assert prompts.reload() == 1
    assert (prompts.get_prompt("mine"), prompts.get_prompt("other")) == ("x", "y")


# --- many readers ---------------------------------------------------------------------------------------------------


@contextmanager
def _readers(read: Callable[[], str]) -> Iterator[list[set[str]]]:
    """Read in many threads while the block goes on; what was read, or went wrong, is in the sets."""
    stop = threading.Event()
    found: list[set[str]] = [set() for _ in range(THREADS)]
    ready = threading.Barrier(THREADS + 1)

    def run(seen: set[str]) -> None:
        ready.wait()
        while not stop.wait(0.0005):  # so that the one who writes has its turn, too
            try:
                seen.add(read())
            except BaseException as error:  # noqa: BLE001 - whatever it is, a reader must not see it
                seen.add(repr(error))
                return

    threads = [threading.Thread(target=run, args=(seen,)) for seen in found]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def _all(found: list[set[str]]) -> set[str]:
    return set().union(*found)


def test_readers_see_whole_versions_while_a_file_is_replaced(served) -> None:
    kind, manager, newest = served
    versions = {f"v{number}" for number in range(1, 41)}
    with _readers(lambda: kind.read(manager)) as found:
        for number in range(2, 41):
            write_text(kind.file, kind.content(f"v{number}"))
            manager.reload()
        assert newest() == "v40"
    assert _all(found) <= versions


def test_readers_keep_the_old_version_while_a_file_is_broken(served, caplog: pytest.LogCaptureFixture) -> None:
    kind, manager, newest = served
    versions = {f"v{number}" for number in range(1, 16)}
    with _readers(lambda: kind.read(manager)) as found:
        for number in range(2, 16):
            write_text(kind.file, kind.broken(f"a{number}"))
            manager.reload()
            write_text(kind.file, kind.content(f"v{number}"))
            manager.reload()
        assert newest() == "v15"
    assert _all(found) <= versions
    assert _errors(caplog)


def test_readers_of_a_prompt_that_comes_and_goes(tmp_path: Path) -> None:
    """Deleted and written again: the packaged one shows in between."""
    kind = _Prompts(tmp_path)
    kind.content = lambda text: json.dumps({"name": "greeting", "template": f"{text} {{name}}"})
    write_text(kind.file, kind.content("v1"))
    for auto_reload in (True, False):
        manager = kind.manager(auto_reload=auto_reload)
        with _readers(lambda manager=manager: str(manager.get_prompt("greeting", name="x"))) as found:
            for number in range(2, 20):
                kind.file.unlink()
                manager.reload()
                write_text(kind.file, kind.content(f"v{number}"))
                manager.reload()
        allowed = {f"v{number} x" for number in range(1, 20)} | {"Hello x! What would you like to know?"}
        assert _all(found) <= allowed


def test_writers_and_readers_of_one_manager(tmp_path: Path) -> None:
    prompts = PromptManager(tmp_path)
    prompts.save({"name": "p", "template": "v0"})
    with _readers(lambda: str(prompts.get_prompt("p"))) as found:
        for number in range(1, 15):
            prompts.save({"name": "p", "template": f"v{number}"})
            prompts.add({"name": "p", "template": f"a{number}"})
            assert prompts.remove("p") == 2
            prompts.save({"name": "p", "template": f"v{number}"})
    allowed = {f"{kind}{number}" for kind in "va" for number in range(15)}
    wrong = {one for one in _all(found) - allowed if not one.startswith("TemplateNotFoundError")}
    assert not wrong
    assert prompts.get_prompt("p") == "v14"


def test_many_threads_reload_at_once(kind: _Kind) -> None:
    kind.file.write_text(kind.content("v1"))
    manager = kind.manager(auto_reload=False)
    kind.read(manager)
    with _readers(lambda: str(manager.reload() * 0)) as found:
        for number in range(2, 12):
            write_text(kind.file, kind.content(f"v{number}"))
    assert _all(found) == {"0"}
    manager.reload()
    assert kind.read(manager) == "v11"
