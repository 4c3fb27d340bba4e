"""The self-check of an export: the files are those that were written, and give the embeddings that they gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.model_finetuner.checkpoints.tensors import read_tensors, write_tensors
from ragtime.services.model_finetuner.exporting.exporter import Exporter, SafetensorsExporter
from ragtime.services.model_finetuner.exporting.manifest import ExportFacts, check_sums, read_facts
from ragtime.services.model_finetuner.strategies.comparison import RoleEmbeddings, largest_difference
from ragtime.utils.extras import require
from ragtime.utils.files import parse_json_object, write_json

__all__ = ["EXPORTERS", "ExportCheck", "check_export", "choose_exporter", "installed_packages", "write_probes"]

EXPORTERS: Mapping[str, Exporter] = {"safetensors": SafetensorsExporter()}
"""The targets that there are, by name."""

_FOLDER = "self-check"
_TEXTS = "texts.json"
_EMBEDDINGS = "embeddings.safetensors"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExportCheck:
    """What a self-check found, where nothing is wrong.

    Attributes:
        facts: What the export tells of itself.
        digest: SHA-256 of its ``SHA256SUMS``, which stands for all files but the card.
        texts: How many texts were embedded, in both roles.
        difference: Largest difference of a number between an embedding now and then.
        other_packages: Version at the export and version here of each pinned package where they differ; ``None`` where
            it is not installed here.
    """

    facts: ExportFacts
    digest: str
    texts: int
    difference: float
    other_packages: Mapping[str, tuple[str, str | None]]


def check_export(folder: str | Path, *, digest: str | None = None, exporter: Exporter | None = None) -> ExportCheck:
    """Check that an export is what was exported, and gives the same embeddings on this machine.

    All files are compared with their hashes before any is loaded. The hashes show damage and slips, and changes by
    others only where `digest` was kept somewhere else.

    Args:
        folder: The export.
        digest: The digest that the export had when it was made; ``None`` compares none.
        exporter: Loads it; ``None`` means the one of its target.

    Returns:
        What was found.

    Raises:
        InvalidArgumentError: There is no such folder, or no exporter of its target.
        StorageError: A file is missing, changed or was not there.
        FineTuningError: It cannot be loaded, or gives other embeddings.
        MissingExtraError: A package is not installed.
    """
    place = Path(folder).expanduser().absolute()
    if not place.is_dir():
        raise InvalidArgumentError(f"There is no folder '{place}'; give that of an export")
    with log_operation(_log, "check_export", path=str(place)) as operation:
        found = check_sums(place)
        if digest is not None and digest != found:
            raise StorageError(
                f"'{place}' is another export: its digest is {found[:12]}…, expected {digest[:12]}…; copy the right one"
            )
        facts = read_facts(place)
        chosen = exporter if exporter is not None else choose_exporter(facts.target)
        texts, expected = _read_probes(place)
        difference = largest_difference(chosen.embed(place, texts), expected)
        if not difference <= facts.tolerance:
            raise FineTuningError(
                f"'{place}' gives other embeddings here than where it was exported (difference {difference:.2g}, "
                f"expected at most {facts.tolerance:.0e}); install the pinned packages, and check again"
            )
        operation.add(target=facts.target, texts=len(texts), difference=difference)
    here = installed_packages(facts.packages)
    other = {name: (then, here.get(name)) for name, then in facts.packages.items() if here.get(name) != then}
    return ExportCheck(facts, found, len(texts), difference, other)


def choose_exporter(target: str | Exporter) -> Exporter:
    """Return the exporter of a target, or the one that is given; InvalidArgumentError when there is none."""
    if not isinstance(target, str):
        return target
    if target not in EXPORTERS:
        raise InvalidArgumentError(
            f"There is no target {target[:50]!r}; there is {', '.join(EXPORTERS)}, or an Exporter of your own"
        )
    return EXPORTERS[target]


def installed_packages(names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return the versions of those packages that are installed, without what tells builds apart, such as ``+cpu``."""
    found = {}
    for name in names:
        try:
            found[name] = version(name).partition("+")[0]  # indexes know no builds: `torch==2.8.0+cpu` is not found
        except PackageNotFoundError:
            continue
    return found


def write_probes(folder: Path, texts: Sequence[str], embeddings: RoleEmbeddings) -> None:
    """Write the texts of the self-check and their embeddings.

    Args:
        folder: The export.
        texts: The texts.
        embeddings: Their embeddings in both roles.

    Raises:
        StorageError: They cannot be written.
    """
    write_json(folder / _FOLDER / _TEXTS, {"texts": list(texts)})
    torch = require("torch", "finetune")
    tensors = {name: torch.from_numpy(table.copy()) for name, table in embeddings._asdict().items()}
    write_tensors(folder / _FOLDER / _EMBEDDINGS, tensors)


def _read_probes(folder: Path) -> tuple[list[str], RoleEmbeddings]:
    path = folder / _FOLDER / _TEXTS
    try:
        texts = parse_json_object(path.read_bytes()).get("texts")
    except OSError as error:
        raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
    except InvalidArgumentError as error:
        raise StorageError(f"'{path}' is damaged: {error}") from None
    tensors = read_tensors(folder / _FOLDER / _EMBEDDINGS, {})
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise StorageError(f"'{path}' holds no texts; export the model again")
    if tensors.keys() != set(RoleEmbeddings._fields):
        raise StorageError(f"'{folder / _FOLDER / _EMBEDDINGS}' holds no embeddings; export the model again")
    return texts, RoleEmbeddings(**{name: tensor.numpy() for name, tensor in tensors.items()})
