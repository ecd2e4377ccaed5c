"""A small model before an encoder: who answers, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nlpcli.errors import UsageError
from nlpcli.runs.cascade import Cascade, CascadeAnswers, Judged, check_cascade, threshold_on
from nlpcli.runs.encoder_classifier import EncoderClassifier

from ..store.encoder_classifiers import TEXTS, small_classifier


@dataclass
class ByLength:
    """Is the surer the longer a text is, and says y."""

    labels: list[str] = field(default_factory=lambda: ["größe", "y", "x"])
    multi_label: bool = False
    separator: str | None = None

    def limit(self, asked: float | None) -> float:
        return 0.5

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        sure = np.array([0.4 + 0.6 * min(len(text), 20) / 20 for text in texts])
        return np.stack([(1 - sure) * 0.25, sure, (1 - sure) * 0.75], axis=1)


def encoder(**answering: Any) -> EncoderClassifier:
    return EncoderClassifier(small_classifier(**answering), precision="fp32", device="cpu")


def test_the_rest_is_answered_by_the_encoder() -> None:
    cascade = Cascade(ByLength(), encoder(max_length=8), 0.7)
    found, sure = cascade.answered(TEXTS)
    assert sure.tolist() == [len(text) >= 10 for text in TEXTS] and 0 < sure.sum() < len(TEXTS)
    alone = encoder(max_length=8).probabilities(TEXTS)
    np.testing.assert_allclose(found[~sure], alone[~sure], atol=1e-6)
    wanted = ByLength().probabilities(TEXTS)[:, [2, 1, 0]]  # x, y, größe
    np.testing.assert_array_equal(found[sure], wanted[sure])
    assert cascade.long_texts.n == int((~sure).sum())
    for i, text in enumerate(TEXTS):
        one, by = cascade.answered([text])
        np.testing.assert_allclose(one[0], found[i], atol=1e-6)
        assert by[0] == sure[i]
    assert not Cascade(ByLength(), encoder(), math.inf).answered(TEXTS)[1].any()
    assert Cascade(ByLength(), encoder(), 0.0).answered(TEXTS)[1].all()


def test_the_column_says_who_answered() -> None:
    answers = CascadeAnswers(
        Cascade(ByLength(), encoder(), 0.7), prefix="p_", top_k=1, threshold=None,
        all_probabilities=False, abstain_below=0.0, explain=0,
    )  # fmt: skip
    assert answers.columns == ["p_label", "p_probability", "p_by"]
    labels, _, by = answers(["b", "b " * 40])
    assert by == ["encoder", "small"] and labels[1] == "y"


def test_chosen_on_dev_rows() -> None:
    model = encoder()
    said = [model.labels[i] for i in model.logits(TEXTS).argmax(axis=1)]
    long = [len(text) >= 10 for text in TEXTS]
    dev = Judged(TEXTS, ["y" if each else name for each, name in zip(long, said, strict=True)])
    point = threshold_on(ByLength(), model, dev, 0.0)
    together = Cascade(ByLength(), model, point.above)
    found, sure = together.answered(TEXTS)
    assert point.share == sure.mean() >= np.mean(long)
    right = [model.labels[i] == name for i, name in zip(found.argmax(axis=1), dev.labels,
                                                        strict=True)]  # fmt: skip
    assert point.together == pytest.approx(np.mean(right)) and point.together >= point.large
    assert model.long_texts.n == int((~sure).sum())  # dev rows are none that were asked for


@pytest.mark.parametrize(
    ("small", "answering", "said"),
    [
        (ByLength(["x", "y", "z"]), {}, "not the labels of big: only little has z; only big"),
        (ByLength(["x", "y"]), {}, "only big has größe"),
        (ByLength(["x", "y", "größe", "x"]), {}, "not the labels of big"),
        (ByLength(multi_label=True), {}, "little gives any number of labels"),
        (ByLength(), {"separator": ";"}, "big gives any number of labels"),
        (ByLength(), {"pair": True}, "answers single texts, big pairs"),
    ],
)
def test_models_that_do_not_go_together(
    small: ByLength, answering: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check_cascade(small, encoder(**answering), ("little", "big"))
    with pytest.raises(UsageError, match="big is no encoder"):
        check_cascade(small, ByLength(), ("little", "big"))
