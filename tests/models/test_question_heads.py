"""The head for questions against transformers, and its loss against sums written out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from nlpcli.models.question_heads import QuestionModel, place_loss

from ..formats.bert_folder import TINY, bert_files, random_weights, written

ARCHITECTURE = "BertForQuestionAnswering"


@pytest.mark.filterwarnings("ignore")
def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(
        written(tmp_path, bert_files(ARCHITECTURE)), local_files_only=True
    ).eval()
    ids = torch.randint(0, TINY.vocab_size, (3, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(9) < torch.tensor([9, 5, 2])[:, None]
    segments = (torch.arange(9) >= 3).long().expand(3, 9) * mask
    model = QuestionModel(TINY).eval()
    model.load(random_weights(ARCHITECTURE))
    with torch.no_grad():
        found = model(ids, segments, mask)
        wanted = theirs(ids, attention_mask=mask.long(), token_type_ids=segments)
    for which, logits in enumerate((wanted.start_logits, wanted.end_logits)):
        torch.testing.assert_close(found[:, :, which][mask], logits[mask], rtol=0, atol=1e-5)


def test_places_that_there_are_not_are_no_rivals() -> None:
    logits = torch.tensor([[1.0, 9.0, 2.0, 3.0], [0.0, 0.0, 0.0, 5.0]], requires_grad=True)
    allowed = torch.tensor([[True, False, True, True], [True, True, False, False]])
    targets = torch.tensor([2, 1])
    found = place_loss(logits, targets, allowed, smoothing=0.0, focal=0.0)
    first = -2 + math.log(math.exp(1) + math.exp(2) + math.exp(3))
    assert found.item() == pytest.approx((first + math.log(2)) / 2, abs=1e-6)
    found.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert (logits.grad[~allowed] == 0).all()


def test_smoothing_and_focal() -> None:
    logits = torch.tensor([[1.0, 2.0, 4.0]])
    allowed, targets = torch.tensor([[True, True, False]]), torch.tensor([1])
    p = 1 / (1 + math.exp(-1))
    smooth = place_loss(logits, targets, allowed, smoothing=0.2, focal=0.0).item()
    wanted = -0.9 * math.log(p) - 0.1 * math.log(1 - p)
    assert smooth == pytest.approx(wanted, abs=1e-6)
    focal = place_loss(logits, targets, allowed, smoothing=0.0, focal=2.0).item()
    assert focal == pytest.approx(-((1 - p) ** 2) * math.log(p), abs=1e-6)
