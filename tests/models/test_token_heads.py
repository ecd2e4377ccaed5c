"""The tagger against transformers, and what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlpcli.models.crf import Crf
from nlpcli.models.token_heads import CRF_RATE, TokenModel

from ..formats.bert_folder import LABELS, TINY, bert_files, random_weights, written

ARCHITECTURE = "BertForTokenClassification"


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, TINY.vocab_size, (3, 9), generator=torch.Generator().manual_seed(1))
    return ids, torch.zeros_like(ids), torch.arange(9) < torch.tensor([9, 5, 1])[:, None]


def filled() -> TokenModel:
    model = TokenModel(TINY, len(LABELS), 0.0).eval()
    model.load(random_weights(ARCHITECTURE))
    return model


@pytest.mark.filterwarnings("ignore")
def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = written(tmp_path, bert_files(ARCHITECTURE))
    theirs = transformers.AutoModelForTokenClassification.from_pretrained(
        folder, local_files_only=True
    ).eval()
    ids, segments, mask = batch()
    with torch.no_grad():
        found = filled()(ids, segments, mask)
        wanted = theirs(ids, attention_mask=mask.long(), token_type_ids=segments).logits
    torch.testing.assert_close(found[mask], wanted[mask], rtol=0, atol=1e-5)


def test_parts_and_rates() -> None:
    ones = np.ones(3, bool)
    model = TokenModel(TINY, 3, 0.1, Crf(ones, np.ones((3, 3), bool), ones))
    names = [part.name for part in model.parts()]
    assert not any(name.startswith(("pooler", "crf.")) for name in names)
    field = [part.name for part in model.all_parts()][len(names) :]
    assert field == ["crf.transitions", "crf.start", "crf.end"]
    n_numbers = sum(part.view.numel() for part in model.all_parts())
    assert n_numbers == sum(parameter.numel() for parameter in model.parameters())
    assert model.rate("crf.start", 1e-5) == CRF_RATE and model.rate("crf.end", 1.0) == 1.0
    assert model.rate("classifier.weight", 1e-5) == 1e-5


def test_dropout_only_while_training() -> None:
    model = TokenModel(TINY, len(LABELS), 0.5)
    model.load(random_weights(ARCHITECTURE))
    given = batch()
    with torch.no_grad():
        assert torch.equal(model.eval()(*given), filled()(*given))
        assert not torch.allclose(model.train()(*given), model(*given))
