"""Exact search against a plain reference: scores, ties, filters, removals, and what must not matter."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.storage.vectors import Hit, VectorIndex

Vectors = dict[str, npt.NDArray[np.float32]]


def unit_vectors(count: int, dimension: int, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def index_of(vectors: Vectors, dimension: int) -> VectorIndex:
    index = VectorIndex(dimension)
    if vectors:
        index.add(list(vectors), np.stack(list(vectors.values())))
    return index


def reference(
    vectors: Vectors, query: npt.NDArray[np.float32], k: int, among: Collection[str] | None = None
) -> list[Hit]:
    """Rank by inner products in float64, each by itself, rounded to float32."""
    hits = [
        Hit(one, float(np.float32(sum(float(a) * float(b) for a, b in zip(vector, query, strict=True)))))
        for one, vector in vectors.items()
        if among is None or one in among
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k]


# --- a property -----------------------------------------------------------------------------------------------------

# Few values, so that equal scores are common, and their sums are exact.
FEW = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])
IDS = st.text("abä\ud800", max_size=2)


@given(data=st.data(), dimension=st.integers(1, 4))
def test_any_history_finds_what_a_plain_reference_finds(data: st.DataObject, dimension: int) -> None:
    index, vectors = VectorIndex(dimension), {}
    for _ in range(data.draw(st.integers(0, 4))):
        ids = data.draw(st.lists(IDS, unique=True, max_size=6))
        if data.draw(st.booleans()):
            added = data.draw(st.lists(st.lists(FEW, min_size=dimension, max_size=dimension),
                                       min_size=len(ids), max_size=len(ids)))  # fmt: skip
            array = np.array(added, np.float32).reshape(len(ids), dimension)
            index.add(ids, array)
            for one, vector in zip(ids, array, strict=True):
                vectors.pop(one, None)
                vectors[one] = vector
        else:
            assert index.remove(ids) == sum(one in vectors for one in ids)
            for one in ids:
                vectors.pop(one, None)
        if data.draw(st.booleans()):
            index.compact()
    queries = np.array(
        data.draw(st.lists(st.lists(FEW, min_size=dimension, max_size=dimension), max_size=3)), np.float32
    ).reshape(-1, dimension)
    among = data.draw(st.none() | st.sets(IDS))
    k = data.draw(st.integers(1, 8))
    assert index.ids() == list(vectors)
    assert len(index) == len(vectors)
    assert all((one in index) == (one in vectors) for one in ["a", "b", *vectors])
    np.testing.assert_array_equal(index.vectors(list(vectors)), np.array(list(vectors.values())).reshape(-1, dimension))
    expected = [reference(vectors, query, k, among) for query in queries]
    assert index.search(queries, k, among=among) == expected
    assert [index.search(query, k, among=among)[0] for query in queries] == expected


@pytest.mark.parametrize("count", [1, 100, 3_000])
@pytest.mark.parametrize("queries", [1, 3, 33])
def test_random_vectors(count: int, queries: int) -> None:
    values = unit_vectors(count, 96)
    vectors = {f"{number:05}": vector for number, vector in enumerate(values)}
    asked = unit_vectors(queries, 96, seed=1)
    found = index_of(vectors, 96).search(asked, 10)
    exact = asked.astype(np.float64) @ values.T.astype(np.float64)
    for hits, scores in zip(found, exact, strict=True):
        best = np.argsort(-scores)[:10]
        assert [int(hit.id) for hit in hits] == best.tolist()
        np.testing.assert_allclose([hit.score for hit in hits], scores[best], rtol=1e-6)


# --- several blocks and threads: 16 MiB of 1024-dimensional vectors are 4,096 rows -----------------------------------

LARGE = unit_vectors(9_000, 1024)
LARGE[5_000:5_040] = LARGE[17]  # equal vectors in several blocks
NAMES = [f"{number:05}" for number in range(len(LARGE))]


@pytest.fixture(scope="module")
def large() -> VectorIndex:
    index = VectorIndex(1024)
    index.add(NAMES, LARGE)
    return index


def test_equal_vectors_tie_exactly_wherever_they_stand(large: VectorIndex) -> None:
    query = unit_vectors(1, 1024, seed=2)[0] + LARGE[17]
    alone = large.search(query, 30)[0]
    assert [hit.id for hit in alone] == ["00017", *NAMES[5_000:5_029]]
    assert len({hit.score for hit in alone}) == 1
    batch = np.concatenate([unit_vectors(40, 1024, seed=3), query[None]])
    assert large.search(batch, 30)[-1] == alone


def test_neither_order_nor_company_matters(large: VectorIndex) -> None:
    queries = unit_vectors(5, 1024, seed=4)
    order = np.random.default_rng(5).permutation(len(LARGE))
    shuffled = VectorIndex(1024)
    for some in np.array_split(order, 7):
        shuffled.add([NAMES[row] for row in some], LARGE[some])
    expected = large.search(queries, 100)
    assert shuffled.search(queries, 100) == expected
    assert [shuffled.search(query, 100)[0] for query in queries] == expected
    assert large.search(queries[::-1], 100)[::-1] == expected
    assert [hits[:3] for hits in expected] == large.search(queries, 3)


def test_everything_can_be_asked_for(large: VectorIndex) -> None:
    hits = large.search(LARGE[0], len(LARGE) + 5)[0]
    assert sorted(hit.id for hit in hits) == NAMES
    assert [(-hit.score, hit.id) for hit in hits] == sorted((-hit.score, hit.id) for hit in hits)
    assert large.search(LARGE[:4], len(LARGE) + 5)[0] == hits


@pytest.mark.parametrize("share", [1, 30, 3_000, 8_999])
def test_a_filter_finds_what_a_smaller_index_finds(large: VectorIndex, share: int) -> None:
    among = np.sort(np.random.default_rng(share).permutation(len(LARGE))[:share])
    small = VectorIndex(1024)
    small.add([NAMES[row] for row in among], LARGE[among])
    queries = unit_vectors(5, 1024, seed=6)
    names = {NAMES[row] for row in among} | {"unknown"}
    assert large.search(queries, 20, among=names) == small.search(queries, 20)
    assert large.search(queries[0], 20, among=[*names, *names]) == small.search(queries[0], 20)


def test_removed_vectors_are_not_found_in_any_block(large: VectorIndex) -> None:
    index = VectorIndex(1024)
    index.add(NAMES, LARGE)
    query = LARGE[17]
    gone = [hit.id for hit in large.search(query, 60)[0]]
    assert index.remove(gone) == 60
    expected = large.search(query, 90)[0][60:]
    assert index.search(query, 30)[0] == expected
    assert index.search(np.stack([query] * 4), 30) == [expected] * 4
    index.compact()
    assert index.search(query, 30)[0] == expected
    assert len(index) == len(index.ids()) == len(LARGE) - 60


def test_searches_go_on_while_vectors_come_and_go(large: VectorIndex) -> None:
    index = VectorIndex(1024)
    index.add(NAMES, LARGE)
    expected = large.search(LARGE[3], 5)

    def change() -> None:
        for number in range(30):
            index.add([f"new {number}"], -LARGE[3:4])
            index.remove([f"new {number}"])
            index.add(NAMES[:1], LARGE[:1])
        index.compact()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        changes = pool.submit(change)
        while not changes.done():
            assert index.search(LARGE[3], 5) == expected
        changes.result()


def test_candidates_in_rising_order_are_pruned() -> None:
    """The worst order for a running selection: every row is better than all before it."""
    angles = np.linspace(np.pi, 0, 70_000)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    index = VectorIndex(2)
    index.add([f"{number:05}" for number in range(70_000)], vectors)
    for k in (1, 5_000):
        right, left, *_ = index.search([[1.0, 0.0], [-1.0, 0.0]] * 2, k)
        assert len(right) == len(left) == k
        lowest = np.sort(vectors[:, 0].astype(np.float32))[-k]
        assert min(hit.score for hit in right) == lowest
        assert left[0] == Hit("00000", 1.0)
        assert right == index.search([1.0, 0.0], k)[0]


# --- edges ----------------------------------------------------------------------------------------------------------


def test_an_empty_index_finds_nothing() -> None:
    index = VectorIndex(3)
    assert index.search([1.0, 0.0, 0.0], 5) == [[]]
    assert index.search(np.zeros((2, 3)), 5, among=["a"]) == [[], []]
    assert index.search(np.empty((0, 3)), 5) == []
    assert index.vectors([]).shape == (0, 3)
    assert index.remove(["a"]) == 0
    index.compact()
    index.add([], np.empty((0, 3)))
    assert (len(index), index.ids()) == (0, [])


def test_an_empty_filter_finds_nothing() -> None:
    index = index_of({"a": np.ones(2, np.float32)}, 2)
    assert index.search([1.0, 0.0], 5, among=[]) == [[]]
    assert index.search([1.0, 0.0], 5, among={"b"}) == [[]]


def test_zeros_and_tiny_and_long_vectors() -> None:
    vectors = np.array([[0.0, -0.0], [1e-40, 0.0], [1e14, 0.0], [1.0, 0.0]], np.float32)
    index = VectorIndex(2)
    index.add(["zero", "tiny", "long", "one"], vectors)
    assert [hit.id for hit in index.search([1.0, 0.0], 4)[0]] == ["long", "one", "tiny", "zero"]
    assert str(index.search([-1.0, 0.0], 1)[0]) == "[Hit(id='zero', score=0.0)]"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8])
def test_numbers_of_other_types_are_converted(dtype: npt.DTypeLike) -> None:
    index = VectorIndex(2)
    index.add(["a"], np.array([[1, 2]], dtype))
    assert index.vectors(["a"]).dtype == np.float32
    assert index.search(np.array([1, 1], dtype), 1) == [[Hit("a", 3.0)]]


def test_what_was_added_is_a_copy() -> None:
    values = np.ones((1, 2), np.float32)
    index = index_of({"a": values[0]}, 2)
    values[:] = 7
    index.vectors(["a"])[:] = 7
    assert index.vectors(["a", "a"]).tolist() == [[1, 1], [1, 1]]


def test_an_id_added_again_has_the_new_vector() -> None:
    index = index_of({"a": np.array([1, 0], np.float32), "b": np.array([0, 1], np.float32)}, 2)
    index.add(["a"], [[0.0, -1.0]])
    assert index.ids() == ["b", "a"]
    assert index.search([1.0, 1.0], 5) == [[Hit("b", 1.0), Hit("a", -1.0)]]


# --- wrong arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "vectors", "message"),
    [
        (["a"], [[1.0, 2.0, 3.0]], r"shape \[n, 2\], found \[1, 3\]"),
        (["a"], [1.0, 2.0], r"shape \[n, 2\], found \[2\]"),
        (["a"], [[1.0], [1.0, 2.0]], "several lengths"),
        (["a", "b"], [[1.0, 2.0]], "2 ids and 1 vectors"),
        (["a"], [[1.0, float("nan")]], "Vector 0 holds a value that is not finite"),
        (["a", "b"], [[1.0, 2.0], [1e300, 0.0]], "Vector 1 holds a value that is not finite"),
        (["a"], [[1e16, 0.0]], "Vector 0 is longer than 1e15"),
        (["a"], [["1", "2"]], "found dtype <U1"),
        (["a"], [[1j, 2.0]], "found dtype complex128"),
        (["a"], [[True, False]], "found dtype bool"),
        (["a"], None, "found dtype object"),
        (["a", "a"], [[1.0, 2.0], [1.0, 2.0]], "found more than once: 'a'$"),
        (list("aabbccddee"), [[1.0, 2.0]] * 10, "'a', 'b', 'c' and 2 more"),
        (["a", 2], [[1.0, 2.0], [1.0, 2.0]], "found int at position 1"),
        ("ab", [[1.0, 2.0], [1.0, 2.0]], "found a single str"),
    ],
)
def test_wrong_additions_change_nothing(ids: list[str], vectors: npt.ArrayLike, message: str) -> None:
    index = index_of({"z": np.ones(2, np.float32)}, 2)
    with pytest.raises(InvalidArgumentError, match=message):
        index.add(ids, vectors)
    assert index.ids() == ["z"]


@pytest.mark.parametrize("k", [0, -1, 1.0, True, None, "3"])
def test_a_wrong_k(k: int) -> None:
    with pytest.raises(InvalidArgumentError, match="k must be a number from 1"):
        VectorIndex(2).search([1.0, 2.0], k)


@pytest.mark.parametrize("dimension", [0, -1, 1.5, True, 1 << 17])
def test_a_wrong_dimension(dimension: int) -> None:
    with pytest.raises(InvalidArgumentError, match="dimension must be a number"):
        VectorIndex(dimension)


def test_wrong_queries_and_filters() -> None:
    index = index_of({"a": np.ones(2, np.float32)}, 2)
    with pytest.raises(InvalidArgumentError, match=r"found \[1, 3\]"):
        index.search([1.0, 2.0, 3.0], 1)
    with pytest.raises(InvalidArgumentError, match="not finite"):
        index.search([float("inf"), 0.0], 1)
    with pytest.raises(InvalidArgumentError, match="among must be a sequence of texts"):
        index.search([1.0, 0.0], 1, among="a")
    with pytest.raises(InvalidArgumentError, match=r"Not in the index: 'b', 'c'$"):
        index.vectors(["a", "b", "c"])
