"""Local models of the sentence-transformers package."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ragtime.backends.encoders.checks import check_role, check_texts, distinct, unit_vectors
from ragtime.backends.loading import choose_device, choose_dtype, quiet_loading
from ragtime.backends.resolution import RegistryResolver, ResolvedModel, resolve_model, stored_dtype
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendError, RagtimeError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextRole
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.progress import ProgressMode, track

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer
else:
    np = LazyModule("numpy")

__all__ = ["SentenceTransformerEncoder"]

_log = get_logger(__name__)

_BATCHES_PER_SLICE = (
    32  # texts handed to the model at once: bounds the vectors that wait, and is the step of the progress
)
_SHOWN_FROM = 2  # slices from which progress is shown
_PASSAGE_PROMPTS = ("document", "passage", "corpus")  # the names sentence-transformers looks for, in its order
# Options of a transformer that change no vector: where it was loaded from, by which version, how it is trained.
_INCIDENTAL = {"_name_or_path", "architectures", "dtype", "gradient_checkpointing", "transformers_version", "use_cache"}


class SentenceTransformerEncoder:
    """Embeds texts with a local sentence-transformers model; a ``ragtime.protocols.TextEncoder``.

    The model is loaded at the first use, by one thread. Each distinct text is computed once, texts of like length
    together; the model's own prompts for queries and passages are put in front.

    Attributes:
        model_name: The name that was asked for.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        model_name: str | None = None,
        model: SentenceTransformer | None = None,
        registry: RegistryResolver | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Prepare the encoder; nothing is loaded yet.

        Args:
            settings: Section ``embedding`` is used; ``None`` means the current settings.
            model_name: The model; ``None`` means the one of the settings.
            model: A model that is loaded already; ``None`` means to load it by its name.
            registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.
            batch_size: Texts per forward pass; ``None`` means the settings' own.
        """
        self._settings = settings or get_settings()
        self._embedding = self._settings.embedding
        self.model_name = model_name or self._embedding.model_name
        self._registry = registry
        self._batch_size = batch_size or self._embedding.batch_size
        self._model = model
        self._lock = threading.RLock()
        self._fingerprints: dict[TextRole, str] = {}

    @property
    def dimension(self) -> int:
        """Length of the vectors; loads the model.

        Raises:
            BackendError: The model cannot be loaded.
        """
        found = self.model.get_embedding_dimension()
        if found is None:
            raise BackendError(f"The model {self.model_name} does not tell the length of its vectors")
        return int(found)

    @property
    def model(self) -> SentenceTransformer:
        """The model itself; loads it.

        Raises:
            BackendError: The model is not found, is not complete, or needs pickles or code of its own.
            MissingExtraError: sentence-transformers is not installed.
        """
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: Any number of texts, none included. What is longer than the model's maximum is cut there.
            role: Whether they are queries or passages.

        Returns:
            A float32 array of shape ``[len(texts), dimension]`` with rows of unit length, in the order of the texts.

        Raises:
            InvalidArgumentError: `texts` is a single text or holds something else, or `role` is unknown.
            BackendError: The model cannot be loaded, or failed.
        """
        role = check_role(role)
        unique, inverse = distinct(check_texts(texts))
        if not unique:
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors = np.empty((len(unique), self.dimension), dtype=np.float32)
        level = logging.INFO if len(inverse) > 1 else logging.DEBUG  # a single one is a look-up
        with log_operation(_log, "encode", level=level, model=self.model_name, role=role) as operation:
            operation.add(count=len(inverse), distinct=len(unique))
            # Longest first: texts of a batch pad to one length, and a batch that is too big fails at once.
            order = np.argsort([-len(text) for text in unique], kind="stable")
            step = self._batch_size * _BATCHES_PER_SLICE
            mode: ProgressMode | None = None if len(unique) > step * _SHOWN_FROM else "off"
            with track("Embedding", total=len(unique), unit="texts", mode=mode) as progress:
                for start in range(0, len(unique), step):
                    rows = order[start : start + step]
                    vectors[rows] = self._forward([unique[row] for row in rows], role)
                    progress.advance(len(rows))
        return vectors[inverse] if len(unique) < len(inverse) else vectors

    def fingerprint(self, role: TextRole) -> str:
        """Return a hash of all that the vectors of a role depend on; loads the model.

        That is the modules the role runs through with their weights and options, the tokenizer, the prompt, the maximum
        length and the precision.

        Args:
            role: The role.

        Returns:
            64 hexadecimal digits.

        Raises:
            BackendError: The model cannot be loaded.
        """
        role = check_role(role)
        with self._lock:
            if role not in self._fingerprints:
                self._fingerprints[role] = self._hash(role)
            return self._fingerprints[role]

    def _forward(self, texts: list[str], role: TextRole) -> npt.NDArray[np.float32]:
        model = self.model
        embed = model.encode_query if role == "query" else model.encode_document
        try:
            with self._lock:
                raw = embed(texts, batch_size=self._batch_size, show_progress_bar=False, convert_to_numpy=True)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            # The text of the error may quote a document; its type and the model tell enough.
            reason = (
                "out of memory; use a smaller embedding.batch_size"
                if _is_out_of_memory(error)
                else type(error).__name__
            )
        else:
            return unit_vectors(raw, count=len(texts), dimension=self.dimension, model=self.model_name)
        raise BackendError(f"The model {self.model_name} failed on {len(texts)} texts: {reason}")

    def _load(self) -> SentenceTransformer:
        with log_operation(_log, "load_model", model=self.model_name) as operation, quiet_loading():
            package = require("sentence_transformers", "embeddings")
            found = resolve_model(self.model_name, registry=self._registry, settings=self._settings)
            torch = require("torch", "embeddings")
            device = choose_device(torch, self._embedding.device)
            dtype = choose_dtype(torch, device, self._embedding.dtype, stored_dtype(found.path))
            operation.add(source=found.source, device=device, dtype=str(dtype).removeprefix("torch."))
            return _load_from(package, found, device, dtype)

    def _hash(self, role: TextRole) -> str:
        model = self.model
        digest = hashlib.sha256()
        names = [role] if role == "query" else list(_PASSAGE_PROMPTS)
        prompt = next((model.prompts[name] for name in names if name in model.prompts), "")
        facts = {
            "prompt": prompt,
            "length": model.max_seq_length,
            "truncate": model.truncate_dim,
            "dtype": str(model.dtype),
        }
        digest.update(json.dumps(facts, sort_keys=True).encode())
        for module in _modules_of(model, role):
            digest.update(_described(module).encode())
            for name, tensor in sorted(module.state_dict().items()):
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(_bytes_of(tensor))
        return digest.hexdigest()


def _load_from(package: Any, found: ResolvedModel, device: str, dtype: Any) -> SentenceTransformer:
    try:
        with quiet_loading():
            model: SentenceTransformer = package.SentenceTransformer(
                str(found.path),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"dtype": dtype, "use_safetensors": True},
            )
    except RagtimeError:
        raise
    except Exception as error:  # noqa: BLE001 - loaders of three packages raise what they like; it is ours to say which model
        message = f"The model in {found.path} cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
    else:
        model.eval()
        return model
    raise BackendError(message)


def _modules_of(model: SentenceTransformer, role: TextRole) -> Iterator[Any]:
    """Yield the modules that texts of a role run through, those inside a router included."""
    for module in model:
        routes = getattr(module, "sub_modules", None)
        if routes is None:
            yield module
            continue
        names = [role] if role == "query" else list(_PASSAGE_PROMPTS)
        route = next((name for name in (*names, module.default_route) if name in routes), None)
        yield from routes[route] if route is not None else [module]


def _described(module: Any) -> str:
    """Describe a module by its class, its options and its tokenizer."""
    options = module.get_config_dict() if hasattr(module, "get_config_dict") else {}
    tokenizer = getattr(getattr(module, "tokenizer", None), "backend_tokenizer", None)
    parts: dict[str, Any] = {"class": type(module).__name__, "options": options}
    config = getattr(getattr(module, "auto_model", None), "config", None)
    if config is not None:
        parts["config"] = {key: value for key, value in config.to_dict().items() if key not in _INCIDENTAL}
    if tokenizer is not None:
        state = json.loads(tokenizer.to_str())
        # Padding and truncation are set anew by each call; the maximum length is told apart.
        parts["tokenizer"] = {key: value for key, value in state.items() if key not in {"padding", "truncation"}}
    return json.dumps(parts, sort_keys=True, default=str)


def _bytes_of(tensor: Any) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(require("torch", "embeddings").uint8).numpy())


def _is_out_of_memory(error: Exception) -> bool:
    return "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower()
