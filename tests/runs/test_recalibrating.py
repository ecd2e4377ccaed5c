"""Probabilities fitted again: the same labels, an honest error, a model that is read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpcli.data.labelled import Labelled
from nlpcli.errors import DataError, UsageError
from nlpcli.models.additive import AdditiveClassifier, sigmoid, softmax
from nlpcli.runs.answering import open_answering
from nlpcli.runs.recalibrating import (
    FEWEST,
    Fit,
    Judged,
    calibrate,
    fitted,
    judged,
    write_calibrated,
)
from nlpcli.store.classifier import TextClassifier, write_classifier
from nlpcli.store.folder import ModelFolder
from nlpcli.store.recalibration import read_recalibration
from nlpcli.store.store import Store
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.tokenizer import Tokenizer

from ..store.encoder_classifiers import small_classifier, store_classifier

WORDS = ["red", "green", "blue", "grey", "dark", "light"]


def rows_of(labels: list[tuple[str, ...]], seed: int = 1) -> Labelled:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 1 + i % 5)) for i in range(len(labels))]
    numbers = list(range(len(labels)))
    return Labelled(texts, labels, None, numbers, "0" * 64, len(labels), 0, 0, 0)


def drawn(labels: list[str], n: int, seed: int = 1) -> list[tuple[str, ...]]:
    return [(str(name),) for name in np.random.default_rng(seed).choice(labels, n)]


def additive(**more: Any) -> TextClassifier:
    tokenizer, _ = Tokenizer.fit(TokenizerConfig(), [" ".join(WORDS)])
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(tokenizer.n_features, 3)).astype(np.float32)
    one_vs_all = "separator" in more
    scorer = AdditiveClassifier(
        weight, np.zeros(3, np.float32), one_vs_all=one_vs_all, scale=4.0, offset=-0.5 * one_vs_all
    )
    return TextClassifier(tokenizer, scorer, ["x", "y", "größe"], **more)


def stored(root: Path, model: TextClassifier) -> ModelFolder:
    with Store(root).begin("m") as draft:
        config = write_classifier(draft, model, {"label_counts": np.ones(3, np.float32)})
        path = draft.publish(
            kind="fasttext", created_by="test", config=config, labels=model.labels, data={},
            seed=1, metrics={},
        )  # fmt: skip
    return ModelFolder(path)


def again(root: Path, folder: ModelFolder, data: Labelled, method: str) -> tuple[Any, Any, Any]:
    """The model, the fit, and the model as it is read from its new version."""
    folder.verify()
    model = open_answering(folder)
    rows = judged(model, data, "m")
    found = calibrate(rows, method, resamples=10, seed=1)
    before = {file.name: file.read_bytes() for file in folder.path.iterdir()}
    folder.verify()
    with Store(root).begin("m") as draft:
        path = write_calibrated(draft, folder, model, data, rows, found)
    assert (path.name, folder.path.name) == ("2", "1")
    assert {file.name: file.read_bytes() for file in folder.path.iterdir()} == before
    new = ModelFolder(path)
    new.verify()
    answering = open_answering(new)
    np.testing.assert_allclose(
        answering.probabilities(data.texts), rows.probabilities(found.fit), atol=1e-6
    )
    return model, found, answering


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
@pytest.mark.parametrize("encoder", [False, True])
def test_the_same_labels_after(tmp_path: Path, method: str, encoder: bool) -> None:
    data = rows_of(drawn(["x", "y", "größe", "unknown"], 80))
    folder = store_classifier(tmp_path, small_classifier()) if encoder else stored(
        tmp_path, additive()
    )  # fmt: skip
    model, found, answering = again(tmp_path, folder, data, method)
    wanted, seen = model.probabilities(data.texts), answering.probabilities(data.texts)
    np.testing.assert_array_equal(seen.argmax(axis=1), wanted.argmax(axis=1))
    assert np.abs(seen - wanted).max() > 0.01
    kept = answering.recalibration
    assert (kept.method, kept.rows, bool(kept.points)) == (method, 80, method == "isotonic")
    assert answering.abstention and answering.abstention[-1][1] == 1
    assert answering.abstention_rows == 80
    # a fifth or so of the rows has a label that is in no set
    covered = {level: quantile for level, quantile in kept.levels}
    assert 0.5 in covered and 0.9 not in covered
    document = found.document
    assert document["n"] == 80 and document["after"]["log_loss"]["value"] is None


def test_several_labels_stay_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    names = ["x", "y", "größe"]
    labels = [tuple(n for n in names if rng.random() < 0.3) for _ in range(60)]
    model = additive(separator=";", threshold=0.3)
    old, found, new = again(tmp_path, stored(tmp_path, model), rows_of(labels), "temperature")
    p, q = old.probabilities(rows_of(labels).texts), new.probabilities(rows_of(labels).texts)
    np.testing.assert_array_equal(p >= old.limit(None), q >= new.limit(None))
    assert new.limit(None) != old.limit(None)
    assert found.document["after"]["brier"]["value"] < found.document["before"]["brier"]["value"]
    assert new.recalibration.levels == ()
    with pytest.raises(UsageError, match="any number of labels"):
        calibrate(judged(old, rows_of(labels), "m"), "isotonic", resamples=10, seed=1)


def test_isotonic_again_starts_from_the_scale(tmp_path: Path) -> None:
    data = rows_of(drawn(["x", "y", "größe"], 60))
    _, first, new = again(tmp_path, stored(tmp_path, additive()), data, "isotonic")
    rows = judged(new, data, "m")
    assert rows.now == first.fit
    assert fitted(rows, "isotonic") == first.fit
    assert fitted(rows, "temperature").points == ()


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_the_error_falls_and_is_told_honestly(method: str) -> None:
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 1, (4000, 4))
    true = (rng.random((4000, 1)) > softmax(2 * logits).cumsum(axis=1)).sum(axis=1).clip(max=3)
    rows = Judged(logits[:2000], true[:2000], False, Fit(8.0, 0.0))
    found = calibrate(rows, method, resamples=10, seed=1)
    before, after = (found.document[part]["ece"]["value"] for part in ("before", "after"))
    assert before > 0.2 and after < 0.03
    fresh = replace(rows, logits=logits[2000:], truth=true[2000:])
    p = fresh.probabilities(found.fit)
    gap = abs(p.max(axis=1).mean() - (p.argmax(axis=1) == fresh.truth).mean())
    assert gap < 0.03


def test_scale_and_offset_of_logistic_functions() -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 1, (3000, 3))
    truth = rng.random((3000, 3)) < sigmoid(2 * logits - 1)
    found = fitted(Judged(logits, truth, True, Fit(5.0, 0.0)), "temperature")
    assert found.scale == pytest.approx(2, rel=0.1) and found.offset == pytest.approx(-1, abs=0.1)


def test_too_few_rows_and_other_models() -> None:
    with pytest.raises(DataError, match=f"29 rows, wanted {FEWEST}"):
        judged(additive(), rows_of(drawn(["x"], FEWEST - 1)), "m")
    with pytest.raises(DataError, match="0 rows of 80 with a label that m knows, wanted 30"):
        judged(additive(), rows_of([("z",)] * 80), "m")
    with pytest.raises(DataError, match="29 rows of 30 with a label that m knows"):
        judged(additive(separator=";"), rows_of([*[()] * 28, ("x", "z"), ("z",)]), "m")
    assert judged(additive(separator=";"), rows_of([()] * FEWEST), "m").several

    class Other:
        labels, multi_label = ("x",), False

    with pytest.raises(UsageError, match="other has no place for a calibration"):
        judged(Other(), rows_of(drawn(["x"], FEWEST)), "other")  # type: ignore[arg-type]


GOOD = {
    "method": "isotonic", "rows": 3, "sha256": "", "points": [[0.1, 0.2], [0.3, 0.2]],
    "levels": [[0.5, 0.25], [0.9, 1]],
}  # fmt: skip


def test_what_a_manifest_may_hold() -> None:
    found = read_recalibration({"recalibration": GOOD}, "m")
    assert found is not None and found.to_json() == GOOD
    assert (found.quantile(0.5), found.quantile(0.51), found.quantile(0.91)) == (0.25, 1, None)
    assert read_recalibration({}, "m") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "platt"}, {"rows": True}, {"rows": -1}, {"sha256": None}, {"points": None},
        {"points": [[0.1]]}, {"points": [[0.1, 2]]}, {"points": [[0.3, 0.1], [0.2, 0.2]]},
        {"levels": [[0.5, 0.3], [0.6, 0.2]]}, {"levels": [[0.5, float("nan")]]}, {"more": 1},
    ],
)  # fmt: skip
def test_what_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"m: config\.recalibration"):
        read_recalibration({"recalibration": {**GOOD, **changes}}, "m")
