"""Matrices of these tests are so small that threads only wait for each other; and one run that all look at."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ragtime.services.learning import LearningReport
from tests.services.learning.backwards import general_pairs, loop_of, sources_of


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Whole(NamedTuple):
    """A run that nothing has disturbed.

    Attributes:
        folder: Where its ``data_dir`` is.
        report: What came out.
    """

    folder: Path
    report: LearningReport


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Learn the small world once."""
    folder = tmp_path_factory.mktemp("whole")
    return Whole(folder, loop_of(folder).run(sources_of(), "thing", general=general_pairs()))
