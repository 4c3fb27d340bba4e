"""Encoders: real vectors, each text once, typed errors, never a vector of zeros."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.backends.encoders import CachedEncoder, SentenceTransformerEncoder, create_encoder
from ragtime.backends.encoders.checks import unit_vectors
from ragtime.backends.loading import quiet_loading
from ragtime.config.settings import Settings
from ragtime.errors import BackendError, InvalidArgumentError, MissingExtraError, StorageError
from ragtime.protocols import TextEncoder
from ragtime.storage.embedding_cache import EmbeddingCache
from ragtime.testing import HashEncoder, mock_dataset, tiny_encoder, tiny_model

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def tiny() -> SentenceTransformerEncoder:
    return tiny_encoder()


@pytest.fixture(scope="module")
def real() -> SentenceTransformerEncoder:
    return SentenceTransformerEncoder(Settings.isolated(embedding__device="cpu"))


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.allclose(first, second, atol=2e-6))


# --- the bundled model ----------------------------------------------------------------------------------------------


def test_the_bundled_model_knows_meaning(real: SentenceTransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    car, automobile, banana = real.encode(["a car", "an automobile", "a banana"])
    assert car.shape == (384,)
    assert car @ automobile > 0.6 > car @ banana
    assert real.dimension == 384


def test_it_gives_what_sentence_transformers_gives(real: SentenceTransformerEncoder) -> None:
    texts = [document.content for document in mock_dataset().corpus.values()]
    plain = real.model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert _same(real.encode(texts), plain)


def test_device_and_dtype_are_chosen_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert SentenceTransformerEncoder(Settings.isolated(embedding__device="cpu")).dimension == 384
    (event,) = [record for record in caplog.records if record.getMessage() == "load_model finished"]
    told = vars(event)
    assert (told["device"], told["source"]) == ("cpu", "bundle")
    assert told["dtype"] in {"float32", "bfloat16"}


# --- any model ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["tiny", "hash", "cached"])
def encoder(request: pytest.FixtureRequest, tiny: SentenceTransformerEncoder, tmp_path: Path) -> TextEncoder:
    if request.param == "hash":
        return HashEncoder()
    if request.param == "tiny":
        return tiny
    return CachedEncoder(tiny, EmbeddingCache(tmp_path / "c", max_bytes=10**7))


def test_rows_are_float32_of_unit_length_in_the_order_of_the_texts(encoder: TextEncoder) -> None:
    texts = ["short", "a somewhat longer text about routers", "short", "", "ä 日本"]
    vectors = encoder.encode(texts)
    assert (vectors.dtype, vectors.shape) == (np.float32, (5, encoder.dimension))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0].tobytes() == vectors[2].tobytes()
    for number, text in enumerate(texts):
        assert _same(encoder.encode([text])[0], vectors[number])


def test_no_texts_give_no_rows(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


@pytest.mark.parametrize("texts", ["one text", b"bytes", [1], ["a", None], [["a"]]])
def test_what_is_no_list_of_texts_is_refused(encoder: TextEncoder, texts: object) -> None:
    with pytest.raises(InvalidArgumentError, match="encode takes"):
        encoder.encode(texts)  # type: ignore[arg-type]


def test_an_unknown_role_is_refused(encoder: TextEncoder) -> None:
    for call in (lambda: encoder.encode(["a"], role="document"), lambda: encoder.fingerprint("document")):  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="role must be 'query' or 'passage'"):
            call()


@pytest.mark.parametrize("text", ["\ud800", "a\ud800b", "\0", " \n", "x" * 300_000, "word " * 50_000, "🙂" * 100])
def test_odd_texts_are_embedded(encoder: TextEncoder, text: str) -> None:
    assert np.isfinite(encoder.encode([text])).all()


@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_texts_are_embedded(texts: list[str]) -> None:
    vectors = HashEncoder(16).encode(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_encoders_fit_the_seam(encoder: TextEncoder) -> None:
    assert isinstance(encoder, TextEncoder)


# --- each text once, in slices --------------------------------------------------------------------------------------


class _Spy:
    """Stands in front of a model and notes what it is given."""

    def __init__(self, model) -> None:
        self._model = model
        self.given: list[list[str]] = []

    def __getattr__(self, name: str):
        return getattr(self._model, name)

    def encode_document(self, texts: list[str], **options):
        self.given.append(texts)
        return self._model.encode_document(texts, **options)


def test_each_distinct_text_is_computed_once_the_longest_first() -> None:
    spy = _Spy(tiny_model())
    encoder = SentenceTransformerEncoder(Settings.isolated(), model=spy, batch_size=1)  # type: ignore[arg-type]
    texts = [f"{'x' * (number % 50)} {number % 50}" for number in range(200)]
    vectors = encoder.encode(texts)
    computed = [text for slice_ in spy.given for text in slice_]
    assert sorted(computed) == sorted(set(texts))
    assert [len(text) for text in computed] == sorted((len(text) for text in computed), reverse=True)
    assert max(map(len, spy.given)) == 32
    assert _same(vectors, tiny_encoder().encode(texts))


def test_long_work_shows_progress(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    encoder = SentenceTransformerEncoder(Settings.isolated(), model=tiny_model(), batch_size=1)
    encoder.encode([str(number) for number in range(100)])
    assert any(record.getMessage().startswith("Embedding: done, 100 of 100 texts") for record in caplog.records)
    (event,) = [record for record in caplog.records if record.getMessage() == "encode finished"]
    assert (vars(event)["count"], vars(event)["distinct"]) == (100, 100)


def test_a_single_text_is_a_look_up_and_logs_nothing(
    tiny: SentenceTransformerEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tiny.encode(["a"])
    assert not caplog.records


def test_many_threads_load_one_model(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    encoder = SentenceTransformerEncoder(Settings.isolated(embedding__device="cpu"))
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(encoder.encode(["a"]).tobytes())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len([record for record in caplog.records if record.getMessage() == "load_model finished"]) == 1


# --- prompts and fingerprints ---------------------------------------------------------------------------------------


def test_prompts_of_the_model_are_put_in_front() -> None:
    model = tiny_model()
    model.prompts = {"query": "question: ", "document": "text: "}
    encoder = SentenceTransformerEncoder(Settings.isolated(), model=model)
    plain = tiny_encoder()
    assert _same(encoder.encode(["abc"], role="query"), plain.encode(["question: abc"]))
    assert _same(encoder.encode(["abc"]), plain.encode(["text: abc"]))


def test_a_fingerprint_is_that_of_the_vectors(tmp_path: Path) -> None:
    with quiet_loading():
        tiny_model().save(str(tmp_path / "model"))
    again = SentenceTransformerEncoder(Settings.isolated(embedding__device="cpu"), model_name=str(tmp_path / "model"))
    reference = tiny_encoder()
    assert again.fingerprint("query") == reference.fingerprint("query") == reference.fingerprint("passage")
    assert tiny_encoder(seed=1).fingerprint("query") != reference.fingerprint("query")


def test_a_fingerprint_of_a_role_knows_only_what_concerns_it() -> None:
    before = tiny_encoder()
    model = tiny_model()
    model.prompts = {"query": "question: "}
    changed = SentenceTransformerEncoder(Settings.isolated(), model=model)
    assert changed.fingerprint("query") != before.fingerprint("query")
    assert changed.fingerprint("passage") == before.fingerprint("passage")
    shorter = tiny_model()
    shorter.max_seq_length = 16
    assert SentenceTransformerEncoder(Settings.isolated(), model=shorter).fingerprint("passage") != before.fingerprint(
        "passage"
    )


def test_encoding_does_not_change_the_fingerprint() -> None:
    encoder = tiny_encoder()
    before = encoder.fingerprint("query")
    encoder.encode(["a", "b" * 500])
    fresh = SentenceTransformerEncoder(Settings.isolated(), model=encoder.model)
    assert fresh.fingerprint("query") == before


# --- failures -------------------------------------------------------------------------------------------------------


class _Failing:
    """A model that fails."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def get_embedding_dimension(self) -> int | None:
        return 4

    def encode_document(self, _: list[str], **__: object):
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (RuntimeError("secret document text"), "failed on 1 texts: RuntimeError"),
        (RuntimeError("CUDA out of memory. Tried"), "out of memory; use a smaller embedding.batch_size"),
        (np.zeros((1, 4)), "1 of 1 vectors that are zero or not finite"),
        (np.array([[1, 2, np.nan, 3]]), "zero or not finite"),
        (np.array([[1, 2, np.inf, 3]]), "zero or not finite"),
        (np.ones((1, 5)), r"shape \[1, 5\] where 1 vectors of 4 numbers were expected"),
        (np.ones((2, 4)), r"shape \[2, 4\]"),
        (np.ones(4), r"shape \[4\]"),
        ([["a", "b"]], "no table of numbers"),
    ],
)
def test_a_failing_model_is_a_typed_error(answer: object, told: str) -> None:
    encoder = SentenceTransformerEncoder(Settings.isolated(), model_name="m", model=_Failing(answer))  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=told) as caught:
        encoder.encode(["a"])
    assert "secret document" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_model_that_does_not_tell_its_dimension() -> None:
    model = _Failing(None)
    model.get_embedding_dimension = lambda: None  # type: ignore[method-assign]
    with pytest.raises(BackendError, match="does not tell the length"):
        _ = SentenceTransformerEncoder(Settings.isolated(), model_name="m", model=model).dimension  # type: ignore[arg-type]


def test_huge_values_are_scaled_without_overflow() -> None:
    vectors = unit_vectors(np.full((1, 4), 3e38, dtype=np.float32), count=1, dimension=4, model="m")
    assert np.allclose(vectors, 0.5)


def test_a_broken_folder_is_a_typed_error(tmp_path: Path) -> None:
    with quiet_loading():
        tiny_model().save(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    encoder = SentenceTransformerEncoder(Settings.isolated(), model_name=str(tmp_path))
    with pytest.raises(BackendError, match="cannot be loaded"):
        encoder.encode(["a"])


def test_a_missing_extra_is_told_at_the_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    encoder = SentenceTransformerEncoder(Settings.isolated())
    with pytest.raises(MissingExtraError, match=r"ragtime-gal\[embeddings\]"):
        encoder.encode(["a"])


# --- the cache in front ---------------------------------------------------------------------------------------------


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    texts = [f"text {number % 30}" for number in range(60)]
    first = CachedEncoder(HashEncoder(), EmbeddingCache(tmp_path / "c", max_bytes=10**7))
    second = CachedEncoder(HashEncoder(), EmbeddingCache(tmp_path / "c", max_bytes=10**7))
    assert first.encode(texts).tobytes() == second.encode(texts).tobytes()
    assert (first.computed, second.computed) == (30, 0)
    assert second.encoder.calls == []  # type: ignore[attr-defined]


def test_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    inner = HashEncoder()
    encoder = CachedEncoder(inner, EmbeddingCache(tmp_path / "c", max_bytes=10**7))
    encoder.encode(["a", "b"])
    encoder.encode(["b", "c", "a", "c"])
    assert inner.calls == [["a", "b"], ["c"]]


def test_models_and_roles_do_not_mix_in_one_cache(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "c", max_bytes=10**7)
    one = CachedEncoder(HashEncoder(seed=1, query_prompt="q: "), cache)
    two = CachedEncoder(HashEncoder(seed=2), cache)
    assert one.encode(["a"]).tobytes() != two.encode(["a"]).tobytes()
    assert one.encode(["a"]).tobytes() != one.encode(["a"], role="query").tobytes()
    assert one.computed == 2


class _BrokenCache(EmbeddingCache):
    """A cache whose disk is gone."""

    def get(self, *_: object, **__: object):
        raise StorageError("no disk")

    def put(self, *_: object, **__: object) -> None:
        raise StorageError("no disk")


def test_a_cache_that_fails_costs_time_but_no_results(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder = CachedEncoder(HashEncoder(), _BrokenCache(tmp_path / "c", max_bytes=1))
    assert encoder.encode(["a", "b"]).tobytes() == HashEncoder().encode(["a", "b"]).tobytes()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "no disk" in str([vars(record) for record in caplog.records])


def test_a_failing_encoder_fails_through_the_cache(tmp_path: Path) -> None:
    class Failing(HashEncoder):
        def encode(self, *_: object, **__: object):
            raise BackendError("down")

    encoder = CachedEncoder(Failing(), EmbeddingCache(tmp_path / "c", max_bytes=10**7))
    with pytest.raises(BackendError, match="down"):
        encoder.encode(["a"])
    assert encoder.cache.statistics().entries == 0


def test_the_settings_choose_encoder_and_cache(tmp_path: Path) -> None:
    cached = create_encoder(Settings.isolated(data_dir=tmp_path))
    assert isinstance(cached, CachedEncoder)
    assert cached.cache.path == tmp_path / "cache" / "embeddings.sqlite"
    assert isinstance(cached.encoder, SentenceTransformerEncoder)
    plain = create_encoder(Settings.isolated(embedding__cache_max_bytes=0))
    assert isinstance(plain, SentenceTransformerEncoder)
    assert isinstance(create_encoder(cached=False), SentenceTransformerEncoder)
