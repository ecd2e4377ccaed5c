import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax as reference

from nlpcli.models.heads import ClusterHead, TreeHead, log_softmax
from nlpcli.models.huffman import HuffmanTree


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60))
def test_a_tree_costs_as_little_as_a_heap_would_make_it(counts: list[int]) -> None:
    counts.sort(reverse=True)
    indptr, rows, turns = HuffmanTree(counts).paths()
    ours = int((np.diff(indptr) * counts).sum())
    heap, wanted = list(counts), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        wanted += pair
        heapq.heappush(heap, pair)
    assert ours == wanted
    assert len(set(rows.tolist())) == len(counts) - 1
    assert set(turns.tolist()) <= {0.0, 1.0}
    ways = [tuple(turns[a:b]) + tuple(rows[a:b]) for a, b in itertools.pairwise(indptr)]
    assert len(set(ways)) == len(counts)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(0, 9))
def test_logits_of_a_tree_are_those_of_its_paths(counts: list[int], seed: int) -> None:
    head = TreeHead(np.array(counts))
    scores = np.random.default_rng(seed).normal(0, 3, (5, head.n_rows))
    found = head.logits(scores)
    indptr, rows, turns = head.tree.paths()
    for leaf, label in enumerate(head.order):
        way = slice(indptr[leaf], indptr[leaf + 1])
        signed = np.where(turns[way] == 1, 1, -1) * scores[:, rows[way]]
        assert np.allclose(found[:, label], -np.log1p(np.exp(-signed)).sum(axis=1))
    assert np.allclose(np.exp(found).sum(axis=1), 1)


def test_clusters_are_a_softmax_in_two_steps() -> None:
    structure = np.array([1, 0, 2, 0, 1, 1, 2])
    head = ClusterHead(structure)
    assert (head.n_rows, head.n_first, head.n_tails) == (9, 4, 2)
    scores = np.random.default_rng(1).normal(0, 2, (6, 9))
    first = reference(scores[:, :4], axis=1)
    tails = {1: reference(scores[:, 4:7], axis=1), 2: reference(scores[:, 7:9], axis=1)}
    wanted = np.stack(
        [
            first[:, 2] + tails[1][:, 0],
            first[:, 0],
            first[:, 3] + tails[2][:, 0],
            first[:, 1],
            first[:, 2] + tails[1][:, 1],
            first[:, 2] + tails[1][:, 2],
            first[:, 3] + tails[2][:, 1],
        ],
        axis=1,
    )
    assert np.allclose(head.logits(scores), wanted)
    assert np.allclose(np.exp(wanted).sum(axis=1), 1)


def test_clusters_follow_the_counts_and_make_steps_cheaper() -> None:
    counts = 1e6 / np.arange(1, 50_001)
    rng = np.random.default_rng(1)
    order = rng.permutation(len(counts))
    head = ClusterHead.of(counts[order])
    structure = head.structure
    assert head.n_tails >= 2
    for number in range(head.n_tails):
        rarest = counts[order][structure == number].min()
        assert rarest >= counts[order][structure == number + 1].max()
    share = np.bincount(structure, weights=counts[order]) / counts.sum()
    sizes = np.bincount(structure)
    assert head.n_first + (share[1:] * sizes[1:]).sum() < 0.2 * len(counts)


def test_few_labels_are_one_cluster() -> None:
    head = ClusterHead.of(np.array([5.0, 3.0, 1.0]))
    assert (head.n_tails, head.n_rows) == (0, 3)
    scores = np.random.default_rng(1).normal(0, 2, (4, 3))
    assert np.array_equal(head.logits(scores), log_softmax(scores))


@pytest.mark.parametrize("structure", [[-1, 0], [0, 2], [1, 1], [9, 0]])
def test_clusters_that_are_none(structure: list[int]) -> None:
    with pytest.raises(ValueError, match="cluster"):
        ClusterHead(np.array(structure))


@pytest.mark.parametrize("structure", [[-1, 5], [10**15, 1], [2**62, 2**62]])
def test_counts_that_are_none(structure: list[int]) -> None:
    with pytest.raises(ValueError, match="counts"):
        TreeHead(np.array(structure))


@pytest.mark.parametrize("head", [TreeHead(np.arange(40)), ClusterHead(np.arange(40) // 9)])
def test_a_row_is_answered_alike_in_any_company_to_the_bit(head: TreeHead | ClusterHead) -> None:
    scores = np.random.default_rng(2).normal(0, 5, (33, head.n_rows))
    every = head.logits(scores)
    for i in (0, 7, 32):
        assert np.array_equal(head.logits(scores[i : i + 1])[0], every[i])
    assert np.array_equal(head.logits(scores[5:12]), every[5:12])
