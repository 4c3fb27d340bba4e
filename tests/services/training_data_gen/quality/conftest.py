"""A corpus on disk, and what checks work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.records import Document
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.tools import Tools

MakeTools = Callable[..., Tools]


@pytest.fixture
def make_tools(tmp_path: Path) -> Iterator[MakeTools]:
    """Returns a function that makes tools with a corpus of some texts by id."""
    with ExitStack() as stack:

        def make(texts: dict[str, str], **limits: object) -> Tools:
            staging = stack.enter_context(Staging(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite", seed=0))
            for key, text in texts.items():
                staging.add_document(Document(id=key, text=text))
            return Tools(Settings(training_data=limits), Corpus(staging, staging.place_documents()))

        yield make
