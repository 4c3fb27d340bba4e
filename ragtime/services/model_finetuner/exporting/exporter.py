"""What brings a model into the form that a server reads: one exporter for each target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ragtime.services.model_finetuner.saving.plain import load_plain_folder, write_plain_folder
from ragtime.services.model_finetuner.strategies.comparison import RoleEmbeddings, embed_for_check

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Exporter", "SafetensorsExporter"]


class Exporter(Protocol):
    """Writes a model in one form, and reads it as a server would.

    Attributes:
        target: Name of the form, such as ``safetensors``.
        packages: Names of the packages that a server needs; their versions are pinned.
        tolerance: Largest difference of a number between an embedding at the export and one of a server.
    """

    target: str
    packages: tuple[str, ...]
    tolerance: float

    def write(self, model: SentenceTransformer, folder: Path) -> None:
        """Write the model into an empty folder, the same bytes for the same model.

        Args:
            model: The model, with its prompts, and with embeddings of unit length.
            folder: The folder.

        Raises:
            FineTuningError: The model has no such form.
            OSError: The folder cannot be written.
        """

    def embed(self, folder: Path, texts: Sequence[str]) -> RoleEmbeddings:
        """Load what was written as a server does, and embed texts in both roles.

        Args:
            folder: The folder; nothing in it that is code may be run.
            texts: The texts.

        Returns:
            The embeddings.

        Raises:
            FineTuningError: It cannot be loaded.
        """

    def instructions(self, name: str, *, dimension: int) -> str:
        """Tell how to serve the folder.

        Args:
            name: What the folder is called.
            dimension: Length of the vectors.

        Returns:
            Markdown, without headings.
        """


class SafetensorsExporter:
    """A folder of safetensors and JSON that a plain ``SentenceTransformer(path)`` loads; an ``Exporter``."""

    target: str = "safetensors"
    packages: tuple[str, ...] = ("sentence-transformers", "transformers", "tokenizers", "torch", "safetensors", "numpy")
    tolerance: float = 1e-4  # other processors add up in another order

    def write(self, model: SentenceTransformer, folder: Path) -> None:
        """Write the folder; see ``Exporter``."""
        write_plain_folder(model, folder)

    def embed(self, folder: Path, texts: Sequence[str]) -> RoleEmbeddings:
        """Load the folder with sentence-transformers on the CPU; see ``Exporter``."""
        return embed_for_check(load_plain_folder(folder, "cpu"), texts)

    def instructions(self, name: str, *, dimension: int) -> str:
        """Tell how to serve the folder; see ``Exporter``."""
        return _INSTRUCTIONS.format(name=name, dimension=dimension)


_INSTRUCTIONS = """\
Install the pinned packages with `pip install -r requirements.txt`, and load the folder. No network is needed, and
nothing in the folder is run:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{name}", local_files_only=True)
questions = model.encode_query(["How do I reset it?"])
passages = model.encode_document(["Hold the button for five seconds.", "Call us."])
scores = questions @ passages.T  # cosines: vectors have {dimension} numbers and unit length
```

`encode_query` and `encode_document` put the right prompts in front; plain `encode` puts none. Embed questions and
passages with the same version of the model: after a change of the version, build the index anew.

In ragtime, name the folder in the settings; the memory of conversations uses it from then on:

```toml
# ragtime.toml
[embedding]
model_name = "{name}"
```

Servers that take folders of sentence-transformers, such as Text Embeddings Inference, serve this one where they know
its architecture:

```console
$ text-embeddings-router --model-id ./{name} --port 8080
```

Such a server may put no prompts in front; send them with the texts where the table above names any."""
