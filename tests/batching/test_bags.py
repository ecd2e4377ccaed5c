import numpy as np
import torch

from nlpcli.batching.bags import BagBatches
from nlpcli.batching.labels import LabelSets
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer

TEXTS = ["a b a", "b c", "", "d", "a c d e", "e e e", "b"]
LABELS = [("x",), ("y",), ("x",), (), ("x", "y"), ("y",), ("z",)]


def _batches(batch_size: int) -> BagBatches:
    _, bags = Tokenizer.fit(TokenizerConfig(), TEXTS)
    sets = LabelSets.of(LABELS, ["x", "y"])
    return BagBatches(bags.indptr, bags.ids, bags.weights, sets, batch_size=batch_size, seed=1)


def test_an_epoch_holds_every_entry_and_label_once() -> None:
    _, bags = Tokenizer.fit(TokenizerConfig(), TEXTS)
    for batch_size in (1, 2, 3, 100):
        batches = _batches(batch_size)
        order = batches.order(torch.Generator().manual_seed(0))
        assert sorted(order) == list(range(len(batches)))
        got = [batches.batch(number) for number in order]
        assert sum(len(b.offsets) for b in got) == len(TEXTS)
        assert sorted(torch.cat([b.ids for b in got]).tolist()) == sorted(bags.ids.tolist())
        assert sum(float(b.labels.targets.sum()) for b in got) == 6


def test_the_transposed_batch_is_the_same_matrix() -> None:
    batches = _batches(3)
    for batch in map(batches.batch, range(len(batches))):
        size, forward, turned = len(batch.offsets), {}, {}
        ends = [*batch.offsets.tolist(), len(batch.ids)]
        for text in range(size):
            for i in range(ends[text], ends[text + 1]):
                forward[int(batch.ids[i]), text] = float(batch.weights[i])
        row_ends = [*batch.row_offsets.tolist(), len(batch.ids)]
        for row, feature in enumerate(batch.rows.tolist()):
            for i in range(row_ends[row], row_ends[row + 1]):
                turned[feature, int(batch.row_texts[i])] = float(batch.row_weights[i])
        assert forward == turned
        assert len(set(batch.rows.tolist())) == len(batch.rows)


def test_labels_that_are_not_named_are_left_out() -> None:
    sets = LabelSets.of(LABELS, ["x", "y"])
    assert sets.dense(np.array([4, 6, 3])).tolist() == [[1, 1], [0, 0], [0, 0]]
