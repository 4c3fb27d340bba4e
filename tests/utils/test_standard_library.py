"""Documents from the running interpreter's standard library."""

from __future__ import annotations

import sys

import pytest

from ragtime.errors import StorageError
from ragtime.utils.standard_library import standard_library_documents


def test_real_pages_in_the_order_of_the_modules() -> None:
    documents = standard_library_documents(18, modules=["shutil", "no_such_module", "json"], per_module=15)
    assert len(documents) == 18
    assert documents[0].id.startswith("shutil.")
    assert documents[-1].id.startswith("json.")
    (parser,) = standard_library_documents(1, modules=["html.parser"], per_module=1)
    assert parser.id == "html.parser.HTMLParser"
    copy = next(document for document in documents if document.id == "shutil.copyfile")
    assert copy.title == "shutil.copyfile(src, dst, *, follow_symlinks=True)"
    assert "Copy data from src to dst" in copy.text
    assert standard_library_documents(18, modules=["shutil", "json"], per_module=15) == documents


def test_there_are_enough_of_them_and_no_id_comes_twice() -> None:
    documents = standard_library_documents(1000, per_module=50)
    assert len(documents) > 500
    assert len({document.id for document in documents}) == len(documents)


def test_nothing_is_imported_for_it() -> None:
    before = set(sys.modules)
    standard_library_documents(5, modules=["turtle"])
    assert "turtle" not in set(sys.modules) - before


def test_without_sources_it_says_so() -> None:
    with pytest.raises(StorageError, match="no sources of the standard library"):
        standard_library_documents(5, modules=["no_such_module"])
