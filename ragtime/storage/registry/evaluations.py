"""Evaluations of versions, kept beside them: a version never changes, but it may be measured on new data later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.storage.registry.errors import TamperedModelError
from ragtime.storage.registry.records import SHORT, StoredEvaluation
from ragtime.storage.registry.registry import ModelRegistry
from ragtime.storage.registry.sealed import read_sealed, write_sealed
from ragtime.storage.registry.shelf import Shelf
from ragtime.utils.hashing import canonical_json, text_hash

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["EvaluationStore"]


class EvaluationStore:
    """What was measured of the versions of a registry, one file for each version and data set.

        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "config.json").write_text("{}")
        >>> registry = ModelRegistry(root=folder.with_name(folder.name + "-registry"))
        >>> version = registry.register(folder, "support").version
        >>> store = EvaluationStore(registry)
        >>> store.add("support", version, data="d1", result={"ndcg@10": 0.52})
        >>> [kept.result["ndcg@10"] for kept in store.of("support", version)]
        [0.52]

    Files are replaced whole, and go when their version is deleted.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        """Keep them in `registry`."""
        self._registry = registry

    def add(self, name: str, version: str, *, data: str, result: Mapping[str, JsonValue]) -> None:
        """Keep an evaluation; a former one of the same data is replaced.

        Args:
            name: The model.
            version: The version, or its first digits.
            data: Hash of the data that it was measured on.
            result: What was measured: a JSON object.

        Raises:
            ModelNotFoundError: There is no such model or version.
            TamperedModelError: The manifest of the version is missing, or not what was registered.
            InvalidArgumentError: An argument has a wrong value, or several versions begin so.
            StorageError: It cannot be written; a former one stays.
        """
        canonical_json(dict(result))  # complains about what no file can hold
        known = self._registry.get(name, version)
        try:
            kept = StoredEvaluation(version=known.version, data=data, result=result)
        except ValidationError as error:
            problem = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors(include_input=False))
        else:
            place = Shelf(self._registry.root, name).evaluations / known.version
            write_sealed(place / f"{text_hash(data)}.json", kept)
            return
        raise InvalidArgumentError(f"Cannot keep the evaluation: {problem}")

    def of(self, name: str, version: str | None = None) -> list[StoredEvaluation]:
        """Read the evaluations of a version.

        Args:
            name: The model.
            version: The version, or its first digits; ``None`` means the one in production.

        Returns:
            The evaluations, in the order of the hashes of their data.

        Raises:
            ModelNotFoundError: There is no such model or version, or none is in production.
            TamperedModelError: One is not what was written, or the manifest of the version is not.
            StorageError: One cannot be read.
            InvalidArgumentError: An argument has a wrong value, or several versions begin so.
        """
        known = self._registry.get(name, version)
        place = Shelf(self._registry.root, name).evaluations / known.version
        found = []
        for path in sorted(place.glob("*.json")):
            try:
                kept = read_sealed(path, StoredEvaluation)
            except FileNotFoundError:  # the version was deleted meanwhile
                continue
            except OSError as error:
                raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
            except TamperedModelError as error:
                raise TamperedModelError(f"{error}; remove it, and evaluate the model again") from None
            if (kept.version, f"{text_hash(kept.data)}.json") != (known.version, path.name):
                told = f"{name}@{known.version[:SHORT]}"
                raise TamperedModelError(
                    f"'{path}' is no evaluation of {told}; remove it, and evaluate the model again"
                )
            found.append(kept)
        return sorted(found, key=lambda one: one.data)
