"""The torture runner: a short run of every area, and that a broken promise is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture import torture_files


@pytest.mark.slow
def test_a_short_run_holds(root: Path) -> None:
    command = [sys.executable, "-m", "tests.torture", "--minutes", "0.1", "--seed", "7"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for column in ("Torture, seed 7", "moments killed", "inputs tried", "records acknowledged", "records lost", "held"):
        assert column in done.stdout


def test_a_half_written_file_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("5\n" * (1 + 5 * 7919 % 30_000))
    assert torture_files._content(path) == 5
    path.write_text("5\n" * 10)
    with pytest.raises(AssertionError, match="half-written"):
        torture_files._content(path)
