"""The head over texts and pairs: transformers' logits, and losses by torch and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from nlpcli.models.bert_config import BertConfig
from nlpcli.models.encoder_heads import SequenceModel, sequence_loss

CONFIG = BertConfig(
    vocab_size=50, n_layers=3, hidden=24, heads=3, intermediate=48, max_positions=20
)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs of several lengths, the shorter ones padded."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(5, 50, (4, 16), generator=generator)
    lengths, borders = torch.tensor([16, 9, 3, 12]), torch.tensor([8, 4, 3, 1])
    place = torch.arange(16)[None]
    mask = place < lengths[:, None]
    return ids * mask, ((place >= borders[:, None]) & mask).long(), mask


def drawn(n_labels: int = 3, **shape: Any) -> SequenceModel:
    model = SequenceModel(CONFIG, n_labels, 0.3, **shape)
    model.initialize(0.3, torch.Generator().manual_seed(1))
    return model.eval()


@pytest.mark.filterwarnings("ignore")
def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    from nlpcli.formats.hf_folder import hf_files
    from nlpcli.text.wordpiece import WordPieceTokenizer

    model, names = drawn(), ["x", "y", "z"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"p{i}" for i in range(45))]
    files = hf_files(
        CONFIG, model.weights(), WordPieceTokenizer.from_vocab(pieces).to_json(),
        architecture="BertForSequenceClassification", labels=names,
    )  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, local_files_only=True
    ).eval()
    ids, segments, mask = batch()
    with torch.no_grad():
        wanted = theirs(input_ids=ids, token_type_ids=segments, attention_mask=mask.long()).logits
        found = model(ids, segments, mask)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert float(wanted.std()) > 0.1  # else nothing could differ


SHAPES: list[dict[str, Any]] = [{}, {"pooling": "mean"}, {"head": "mlp", "pooling": "mean"}]


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_changes_nothing(shape: dict[str, Any]) -> None:
    model = drawn(**shape)
    ids, segments, mask = batch()
    with torch.no_grad():
        together = model(ids, segments, mask)
        for row, length in enumerate(mask.sum(1).tolist()):
            part = (slice(row, row + 1), slice(0, length))
            alone = model(ids[part], segments[part], mask[part])
            torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-5)
        assert (model(ids, 1 - segments, mask) - together).abs().max() > 1e-2


def test_by_hand() -> None:
    """The mean is that of all positions but padding; the perceptron is rectified."""
    ids, segments, mask = batch()
    model = drawn(2, head="mlp", pooling="mean")
    assert not any(name.startswith("pooler") for name in model.weights())
    weights = {name: torch.from_numpy(array) for name, array in model.weights().items()}
    with torch.no_grad():
        found = model(ids, segments, mask)
        hidden = model.bert(ids, segments, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        mean = hidden[row, :length].mean(0)
        inner = weights["classifier.dense.weight"] @ mean + weights["classifier.dense.bias"]
        wanted = weights["classifier.output.weight"] @ inner.clamp(min=0)
        torch.testing.assert_close(found[row], wanted + weights["classifier.output.bias"])


@pytest.mark.parametrize("shape", SHAPES)
def test_every_part_learns(shape: dict[str, Any]) -> None:
    model = drawn(1, **shape).train()
    sequence_loss(
        model(*batch()), torch.arange(4.0), weights=None, smoothing=0.0, focal=0.0
    ).backward()  # type: ignore[no-untyped-call]
    still = [part.name for part in model.parts() if part.gradient is None]
    assert still == []
    for part in model.parts():
        # all queries look alike on a bias of the keys
        if part.gradient is not None and not part.name.endswith("key.bias"):
            assert float(part.gradient.abs().max()) > 1e-7, part.name


def test_a_perceptron_learns_faster_than_its_encoder() -> None:
    for shape, wanted in (({}, 5e-5), ({"pooling": "mean"}, 5e-5), ({"head": "mlp"}, 1e-3)):
        model = drawn(1, **shape)
        rates = {part.name: model.rate(part.name, 5e-5) for part in model.parts()}
        heads = {name for name in rates if name.startswith("classifier.")}
        assert heads and {rates[name] for name in heads} == {wanted}
        assert {rates[name] for name in rates.keys() - heads} == {5e-5}
        assert model.rate(next(iter(heads)), 1e-2) == 1e-2


def test_a_head_that_stays_exact() -> None:
    model = drawn(1)
    weights = {**model.weights(), "classifier.bias": np.array([2001.125], np.float32)}
    model.load(weights)
    ids, segments, mask = batch()
    with torch.no_grad():
        wanted = model(ids, segments, mask)
        rounded = model.to(torch.bfloat16)(ids, segments, mask)
        model.keep_head_exact(weights)
        found = model(ids, segments, mask)
    assert float((rounded - wanted).abs().max()) > 0.5
    assert float((found - wanted).abs().max()) < 0.1 and found.dtype == torch.float32


def test_weights_come_and_go_by_name() -> None:
    model, other = drawn(), SequenceModel(CONFIG, 3, 0.0).eval()
    weights = model.weights()
    assert {"classifier.weight", "classifier.bias", "pooler.dense.weight"} <= weights.keys()
    other.load(weights)
    with torch.no_grad():
        assert torch.equal(model(*batch()), other(*batch()))
    del weights["classifier.bias"]
    with pytest.raises(ValueError, match=r"classifier\.bias"):
        other.load(weights)


def test_losses() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(6, 3, generator=generator)
    labels = torch.tensor([0, 2, 1, 1, 0, 2])
    plain: dict[str, Any] = {"weights": None, "smoothing": 0.0, "focal": 0.0}

    def found(targets: torch.Tensor, **more: Any) -> float:
        return float(sequence_loss(logits, targets, **{**plain, **more}))

    assert found(labels) == pytest.approx(float(functional.cross_entropy(logits, labels)))
    assert found(labels, smoothing=0.2) == pytest.approx(
        float(functional.cross_entropy(logits, labels, label_smoothing=0.2))
    )
    p = logits.softmax(1)[torch.arange(6), labels]
    assert found(labels, focal=2.0) == pytest.approx(float((-((1 - p) ** 2) * p.log()).mean()))
    several = (torch.rand(6, 3, generator=generator) < 0.5).float()
    each = functional.binary_cross_entropy_with_logits(logits, several, reduction="none")
    assert found(several) == pytest.approx(float(each.sum(1).mean()))
    q = torch.where(several > 0, logits.sigmoid(), 1 - logits.sigmoid())
    assert found(several, focal=1.5) == pytest.approx(
        float((-((1 - q) ** 1.5) * q.log()).sum(1).mean()), rel=1e-5
    )
    numbers = torch.randn(6, generator=generator)
    assert found(numbers) == pytest.approx(float(((logits[:, 0] - numbers) ** 2).mean()))


def test_a_row_weighs_the_same_in_whatever_batch() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    weights = torch.tensor([0.5, 3.0, 0.0, 0.5])

    def loss(part: slice) -> float:
        given = weights[part]
        found = sequence_loss(logits[part], labels[part], weights=given, smoothing=0.0, focal=0.0)
        return float(found)

    halves = (loss(slice(0, 2)) + loss(slice(2, 4))) / 2
    assert loss(slice(0, 4)) == pytest.approx(halves)
    assert loss(slice(2, 3)) == 0


@pytest.mark.parametrize("focal", [0.0, 0.5, 2.0])
def test_what_is_quite_right_or_wrong_has_a_gradient(focal: float) -> None:
    for targets in (torch.tensor([0, 1]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])):
        logits = torch.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
        loss = sequence_loss(logits, targets, weights=None, smoothing=0.1, focal=focal)
        loss.backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        assert np.isfinite(loss.item()) and bool(torch.isfinite(logits.grad).all())
