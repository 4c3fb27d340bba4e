"""The code in README and in the guides runs, and prints what is said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PAGES = ["README.md", *(str(path.relative_to(_ROOT)) for path in sorted((_ROOT / "docs" / "guides").glob("*.md")))]


def _blocks(page: str, language: str) -> list[str]:
    return [code for found, code in _BLOCK.findall((_ROOT / page).read_text(encoding="utf-8")) if found == language]


def _run(code: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_the_example_in_readme_prints_what_is_said() -> None:
    (code,), (told,) = _blocks("README.md", "python"), _blocks("README.md", "text")
    done = _run(code)
    assert done.stdout == told
    assert re.search(r"Rating saved .*api_key=\[redacted\] by=\[email\] stars=5", done.stderr)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


_SLOW = pytest.mark.slow
_MARKS = {
    "docs/guides/conversations.md": (_SLOW,),
    "docs/guides/fine-tuning.md": (_SLOW, pytest.mark.models),
    "docs/guides/learning.md": (_SLOW, pytest.mark.models, pytest.mark.timeout(900)),
    "docs/guides/model-comparison.md": (_SLOW, pytest.mark.models, pytest.mark.timeout(900)),
    "docs/guides/model-registry.md": (_SLOW, pytest.mark.models),
    "docs/guides/models.md": (_SLOW, pytest.mark.models),
    "docs/guides/training-data.md": (_SLOW,),
}


@pytest.mark.parametrize("page", [pytest.param(page, marks=_MARKS.get(page, ())) for page in _PAGES])
def test_every_example_runs(page: str) -> None:
    for code in _blocks(page, "python"):
        _run(code)


def test_every_make_target_in_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in ("README.md", "docs/development.md", "docs/benchmarks/index.md"):
        named = set(re.findall(r"make ([a-z-]+)", (_ROOT / page).read_text(encoding="utf-8")))
        assert named <= targets, page
