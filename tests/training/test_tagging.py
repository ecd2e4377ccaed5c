"""Objectives over words, and tags out of logits, against sums written out."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from nlpcli.batching.framing import Specials
from nlpcli.batching.word_rows import PiecedWords, WordRows, piece_targets, word_rows
from nlpcli.models.crf import Crf
from nlpcli.models.token_heads import TokenModel
from nlpcli.training.tagging import (
    CrfObjective,
    TokenObjective,
    best_tags,
    word_logits,
    word_scores,
)

from ..formats.bert_folder import TINY, random_weights

SPECIALS = Specials(cls=2, sep=3, pad=0, longest=10)
K = 3


def words_of(*sentences: list[int]) -> WordRows:
    """Sentences of words of so many pieces."""
    sizes = np.array([size for sentence in sentences for size in sentence], np.int64)
    ids = (5 + np.arange(sizes.sum()) % 5).astype(np.int32)
    bounds = np.cumsum([0, *map(len, sentences)]).astype(np.int64)
    return word_rows(PiecedWords(ids, sizes, bounds), SPECIALS)


def field() -> Crf:
    made = Crf(np.ones(K, bool), ~np.eye(K, dtype=bool), np.ones(K, bool))
    with torch.no_grad():
        made.transitions.copy_(torch.randn(K, K, generator=torch.Generator().manual_seed(1)))
    return made


def model_of(crf: Crf | None = None) -> TokenModel:
    model = TokenModel(TINY, K, 0.0, crf).eval()
    model.load(random_weights("BertForTokenClassification"))
    return model


def test_mean_loss_of_labelled_positions() -> None:
    words = words_of([1, 2], [3])
    targets = piece_targets(words, np.array([0, 1, 2]), all_pieces=False)
    logits = torch.randn(2, 8, K, generator=torch.Generator().manual_seed(2))
    found = TokenObjective(words.rows, targets).loss(logits, np.array([1, 0]))
    log_p = logits.log_softmax(2)
    wanted = -(log_p[0, 1, 2] + log_p[1, 1, 0] + log_p[1, 2, 1]) / 3
    assert found.item() == pytest.approx(wanted.item(), abs=1e-6)


def test_loss_of_a_field_is_that_of_whole_sentences_by_word() -> None:
    words, crf = words_of([1, 2], [3]), field()
    logits = torch.randn(2, 8, K, generator=torch.Generator().manual_seed(3))
    found = CrfObjective(words, np.array([0, 1, 2]), crf).loss(logits, np.array([1, 0]))
    one = crf.log_likelihood(
        logits[0, 1:2][None], torch.tensor([[2]]), torch.ones(1, 1, dtype=torch.bool)
    )
    two = crf.log_likelihood(
        logits[1, 1:3][None], torch.tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.bool)
    )
    assert found.item() == pytest.approx(-(one + two).item() / 3, abs=1e-5)


def test_first_piece_or_the_mean() -> None:
    words = words_of([1, 2], [3])
    outputs = torch.randn(1, 6, K, generator=torch.Generator().manual_seed(4))
    first, counts = word_logits(outputs, words, np.array([0]), pooled=False)
    assert counts.tolist() == [2] and torch.equal(first, outputs[0, 1:3])
    mean, _ = word_logits(outputs, words, np.array([0]), pooled=True)
    torch.testing.assert_close(mean, torch.stack([outputs[0, 1], outputs[0, 2:4].mean(0)]))


@pytest.mark.parametrize("pooled", [False, True])
def test_scores_do_not_depend_on_what_else_is_asked(pooled: bool) -> None:
    model = model_of()
    together = word_scores(model, words_of([1, 2], [3], [2, 2, 1]), SPECIALS, pooled=pooled)
    alone = word_scores(model, words_of([1, 2]), SPECIALS, pooled=pooled)
    np.testing.assert_allclose(together[:2], alone, atol=1e-5)
    if pooled:
        np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_a_field_looks_at_whole_sentences_however_many_rows_they_took() -> None:
    model = model_of(field())
    words = words_of([1] * 20, [2], [1, 3])
    assert words.n_split == 1 and len(words.rows) > 4
    tags = best_tags(model, words, SPECIALS, pooled=False)
    assert all(a != b for a, b in pairwise(tags[:20]))  # the field forbids it
    scores = torch.from_numpy(word_scores(model, words, SPECIALS, pooled=False))
    assert model.crf is not None
    for begin, end in ((0, 20), (20, 21), (21, 23)):
        one = scores[begin:end][None]
        mask = torch.ones(1, end - begin, dtype=torch.bool)
        assert tags[begin:end].tolist() == model.crf.best(one, mask)[0].tolist()
    assert (best_tags(model_of(), words, SPECIALS, pooled=False) == scores.numpy().argmax(1)).all()


def test_parts_of_a_sentence_are_learnt_without_borders_they_lack() -> None:
    first = np.array([True, False, True])  # tag 1 may not begin a sentence
    crf = Crf(first, np.ones((K, K), bool), np.ones(K, bool))
    words = words_of([1] * 20)
    tags = np.full(20, 1, np.int64)
    tags[0] = 0
    loss = CrfObjective(words, tags, crf).loss(
        torch.zeros(len(words.rows), 10, K), np.arange(len(words.rows))
    )
    # all tags are alike but for the first of the first part, which may be two
    wanted = (19 * math.log(3) + math.log(2)) / 20
    assert loss.item() == pytest.approx(wanted, abs=1e-5)


def test_without_words() -> None:
    words = words_of([])
    assert len(words.rows) == 0
    assert best_tags(model_of(field()), words, SPECIALS, pooled=False).shape == (0,)
