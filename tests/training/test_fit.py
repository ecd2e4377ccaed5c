from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from nlpcli.batching.labels import LabelSets
from nlpcli.errors import DataError, NegativeAnswer, Unavailable, UsageError
from nlpcli.models.additive import AdditiveClassifier
from nlpcli.models.config import FastTextConfig
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer
from nlpcli.training.device import choose_device
from nlpcli.training.fit import Examples, Fitting, class_importance, prior_shift, top_label_score
from nlpcli.training.loop import Diverged

NAMES = ["animal", "colour", "number"]
WORDS = {"animal": "cat dog cow hen", "colour": "red blue green pink", "number": "one two six ten"}


def _rows(n: int, seed: int = 0) -> tuple[list[str], list[tuple[str, ...]]]:
    rng = np.random.default_rng(seed)
    labels = [NAMES[i] for i in np.sort(rng.integers(0, 3, n))]
    texts = [" ".join(rng.choice([*WORDS[x].split(), "the", "a"], 4)) for x in labels]
    return texts, [(x,) for x in labels]


def _fit(
    config: FastTextConfig,
    *,
    importance: np.ndarray | None = None,
    seed: int = 1,
    dev: bool = False,
    **more: object,
) -> tuple[AdditiveClassifier, Examples, int]:
    texts, labels = _rows(200)
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(), texts)
    sets = LabelSets.of(labels, NAMES)
    test_texts, test_labels = _rows(100, seed=9)
    test = Examples(tokenizer.bags(test_texts), LabelSets.of(test_labels, NAMES))
    fitting = Fitting(
        config, Examples(bags, sets, importance), test if dev else None,
        n_features=tokenizer.n_features, seed=seed, device=torch.device("cpu"), **more,  # type: ignore[arg-type]
    )  # fmt: skip
    epochs = max(now.step.epoch for now in fitting)
    return fitting.scorer, test, epochs


@pytest.mark.parametrize(
    "config",
    [
        FastTextConfig(),
        FastTextConfig(loss="softmax"),
        FastTextConfig(dim=8, loss="softmax", epochs=10),
        FastTextConfig(loss="one-vs-all"),
        FastTextConfig(dim=8, epochs=20, loss="one-vs-all"),
        *(FastTextConfig(dim=8, epochs=20, loss=name) for name in ("hs", "ns", "adaptive")),
    ],
)
def test_it_learns_from_rows_sorted_by_label(config: FastTextConfig) -> None:
    scorer, test, _ = _fit(config)
    assert top_label_score(scorer, test) > 0.9


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    one, two, other = (_fit(FastTextConfig(), seed=s)[0] for s in (1, 1, 2))
    assert one.weight.tobytes() == two.weight.tobytes()
    assert one.weight.tobytes() != other.weight.tobytes()


def test_patience_stops_early_and_keeps_the_best_epoch() -> None:
    scorer, test, epochs = _fit(FastTextConfig(epochs=50), dev=True, patience=2)
    assert epochs < 50
    assert top_label_score(scorer, test) > 0.9


def test_weightless_rows_teach_nothing() -> None:
    _, labels = _rows(200)
    sets = LabelSets.of(labels, NAMES)
    importance = class_importance(sets, {0: 0.0}, None)
    assert importance is not None
    scorer, test, _ = _fit(FastTextConfig(), importance=importance)
    predicted = scorer.logits(test.bags.indptr, test.bags.ids, test.bags.weights).argmax(axis=1)
    assert (predicted != 0).all()


@pytest.mark.parametrize(
    ("by_label", "weights"), [({0: 0.0, 1: 0.0}, None), (None, np.zeros(4, np.float32))]
)
def test_rows_that_are_all_weightless_are_refused(by_label: Any, weights: Any) -> None:
    sets = LabelSets.of([("a",), ("b",)] * 2, ["a", "b"])
    with pytest.raises(DataError, match="every training row weighs 0"):
        class_importance(sets, by_label, weights)


def test_balanced_weights_give_each_class_the_same_total() -> None:
    sets = LabelSets.of([("a",)] * 8 + [("b",)] * 2, ["a", "b"])
    importance = class_importance(sets, {}, None)
    assert importance is not None
    assert importance[:8].sum() == pytest.approx(importance[8:].sum())
    assert importance.mean() == pytest.approx(1)
    assert class_importance(sets, None, None) is None


def test_a_gradient_step_is_the_one_autograd_finds() -> None:
    from nlpcli.batching.bags import BagBatches
    from nlpcli.models.fasttext import FastText

    texts, labels = _rows(20)
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(), texts)
    sets = LabelSets.of(labels, NAMES)
    batches = BagBatches(bags.indptr, bags.ids, bags.weights, sets, batch_size=8, seed=1)
    for config in (
        FastTextConfig(dim=4, loss="softmax"),
        FastTextConfig(loss="softmax"),
        FastTextConfig(loss="one-vs-all"),
    ):
        generator = torch.Generator().manual_seed(1)
        model = FastText(config, tokenizer.n_features, 3, generator)
        model.weight.normal_(generator=generator).requires_grad_()
        batch = batches.batch(0)
        with torch.no_grad():
            hidden = model.hidden(batch.ids, batch.offsets, batch.weights)
            learnt = model.output_layer().learn(hidden, batch.labels)
            ours = model.row_gradient(learnt.hidden, batch)
        logits, targets = model(batch.ids, batch.offsets, batch.weights), batch.labels.targets
        if config.loss == "softmax":
            smooth = config.label_smoothing
            targets = targets * (1 - smooth) + smooth / 3
            loss = -(targets * torch.log_softmax(logits, 1)).sum()
        else:
            loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        assert torch.allclose(learnt.loss, loss)
        (wanted,) = torch.autograd.grad(loss, model.weight)
        assert torch.allclose(ours, wanted[batch.rows], atol=1e-5)


def test_divergence_is_an_answer_not_a_model() -> None:
    importance = np.full(200, np.nan, dtype=np.float32)
    with pytest.raises(NegativeAnswer, match="diverged in epoch 1"):
        _fit(FastTextConfig(), importance=importance)


def test_devices() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")
    with pytest.raises(UsageError, match="tpu"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(Unavailable, match="cuda"):
            choose_device("cuda")


def _steps_fit(config: FastTextConfig, patience: int | None) -> Fitting:
    texts, labels = _rows(40)
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(), texts)
    dev = Examples(bags, LabelSets.of(labels, NAMES)) if patience else None
    return Fitting(
        config, Examples(bags, LabelSets.of(labels, NAMES)), dev, seed=1, patience=patience,
        n_features=tokenizer.n_features, device=torch.device("cpu"),
    )  # fmt: skip


@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize(
    "config",
    [FastTextConfig(batch_size=4), FastTextConfig(loss="softmax"),
     FastTextConfig(dim=3, loss="softmax"), FastTextConfig(dim=3, loss="ns"),
     FastTextConfig(dim=3, loss="hs")],
    ids=["hinge", "softmax", "dim", "ns", "hs"],
)  # fmt: skip
def test_a_run_put_away_at_any_step_ends_in_the_same_bytes(
    config: FastTextConfig, patience: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlpcli.training.loop.REPORT_STEPS", 1)
    config = replace(config, batch_size=config.batch_size or 16, epochs=4)
    whole = _steps_fit(config, patience)
    n_reports = sum(1 for _ in whole)
    wanted = {name: array.tobytes() for name, array in whole.arrays.items()}
    for stop in range(1, n_reports + 1):
        first = _steps_fit(config, patience)
        for count, _ in enumerate(first, 1):
            if count == stop:
                break
        arrays, numbers = first.state()
        kept = {name: array.copy() for name, array in arrays.items()}
        second = _steps_fit(config, patience)
        second.load(kept, numbers)
        for _ in second:
            pass
        assert {name: array.tobytes() for name, array in second.arrays.items()} == wanted
        assert second.loss == whole.loss
        assert second.epochs == whole.epochs
        for ours, theirs in zip(second.held_out(), whole.held_out(), strict=True):
            assert ours.tobytes() == theirs.tobytes()


def test_divergence_is_found_before_the_step_and_names_the_texts() -> None:
    importance = np.ones(200, dtype=np.float32)
    importance[17] = np.inf
    with pytest.raises(Diverged) as caught:
        _fit(FastTextConfig(batch_size=10), importance=importance)
    assert 17 in caught.value.texts and len(caught.value.texts) == 10


def test_a_start_is_taken_over() -> None:
    texts, labels = _rows(200)
    tokenizer, bags = Tokenizer.fit(TokenizerConfig(), texts)
    examples = Examples(bags, LabelSets.of(labels, NAMES))
    config = FastTextConfig(lr=1e-6, epochs=1, loss="softmax")
    more: dict[str, object] = {
        "n_features": tokenizer.n_features, "seed": 1, "device": torch.device("cpu"),
    }  # fmt: skip
    first = Fitting(FastTextConfig(loss="softmax"), examples, None, **more)  # type: ignore[arg-type]
    for _ in first:
        pass
    second = Fitting(config, examples, None, start=first.arrays, **more)  # type: ignore[arg-type]
    for _ in second:
        pass
    assert np.allclose(second.scorer.weight, first.scorer.weight, atol=1e-4)
    assert (second.arrays["squares.weight"] >= first.arrays["squares.weight"]).all()


def test_labels_that_new_rows_lack_are_hardly_pushed_down_and_equal_mixes_change_nothing() -> None:
    same = prior_shift(np.array([30.0, 10.0]), np.array([3.0, 1.0]), one_vs_all=False)
    assert np.allclose(same, 0)
    shift = prior_shift(np.array([90.0, 0.0]), np.array([0.0, 10.0]), one_vs_all=False)
    assert shift[0] < -1 and shift[1] > 1
    both = prior_shift(np.array([90.0, 0.0]), np.array([0.0, 10.0]), one_vs_all=True)
    assert np.isfinite(both).all() and both[0] < shift[0]
