"""What ragtime offers to tests: encoders, a data set, fixtures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ragtime.config.settings import get_settings
from ragtime.testing import HashEncoder, mock_dataset, tiny_encoder, tiny_model

pytestmark = pytest.mark.models

pytest_plugins = ["pytester"]


def _hits(encoder) -> float:
    data = mock_dataset()
    ids = list(data.corpus)
    documents = encoder.encode([data.corpus[key].content for key in ids])
    queries = encoder.encode(list(data.queries.values()), role="query")
    first = [ids[place] for place in (queries @ documents.T).argmax(axis=1)]
    return float(np.mean([key in data.relevant(query) for query, key in zip(data.queries, first, strict=True)]))


def test_the_mock_dataset_can_be_searched() -> None:
    data = mock_dataset()
    assert len(data.corpus) == 10
    assert len(data.judged_queries) == 30
    assert mock_dataset() == data
    assert _hits(HashEncoder()) > 0.9


def test_hash_encoders_with_other_options_have_other_fingerprints() -> None:
    assert HashEncoder(seed=1).fingerprint("query") != HashEncoder(seed=2).fingerprint("query")
    assert HashEncoder(query_prompt="q").fingerprint("query") != HashEncoder(query_prompt="q").fingerprint("passage")


def test_texts_that_share_words_are_near() -> None:
    near, also, far = HashEncoder().encode(["reset the router", "how to reset a router", "clean oven door"])
    assert near @ also > 0.4 > near @ far


def test_a_tiny_model_is_real_and_can_be_trained() -> None:
    import torch

    model = tiny_model()  # as it comes, without dropout: nothing here is random
    features = model.tokenizer(["reset router", "router"], padding=True, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        vectors = model(dict(features))["sentence_embedding"]
        loss = (vectors[0] @ vectors[1]).square()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_building_a_tiny_model_leaves_the_random_state_alone() -> None:
    import torch

    before = torch.random.get_rng_state()
    first, second, other = tiny_encoder(), tiny_encoder(), tiny_encoder(seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    texts = ["reset the router"]
    assert first.encode(texts).tobytes() == second.encode(texts).tobytes() != other.encode(texts).tobytes()
    assert tiny_encoder(dimension=48).dimension == 48


def test_the_fixtures_work_in_a_suite_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["ragtime.testing.fixtures"]')
    pytester.makepyfile(
        """
        from ragtime.config.settings import get_settings

        def test_fixtures(isolated_settings, hash_encoder, tiny_encoder, mock_dataset, model_server, tmp_path):
            assert model_server.base_url.startswith("http://127.0.0.1:")
            assert get_settings() is isolated_settings
            assert isolated_settings.data_path().is_relative_to(tmp_path)
            assert hash_encoder.encode(["a"]).shape == (1, 256)
            assert tiny_encoder.encode(["a"]).shape == (1, 32)
            assert len(mock_dataset.corpus) == 10
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert get_settings().data_dir == Path(".ragtime")
