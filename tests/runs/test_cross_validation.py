"""Cross-validated judgements: folds, and planted label errors that are found."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.batching.labels import LabelSets
from nlpcli.runs.cross_validation import CrossValidation, judge, stratified_folds
from nlpcli.text.config import TokenizerConfig

PLAN = CrossValidation(tokenizer=TokenizerConfig(), folds=4, device="cpu", threads=1)


class Silent:
    """Tells nobody."""

    def say(self, message: str) -> None: ...

    def warn(self, message: str) -> None: ...

    def detail(self, message: str) -> None: ...

    def progress(self, what: str, done: int, total: int | None, note: str = "") -> None: ...

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80),
       st.integers(2, 6))  # fmt: skip
def test_folds_keep_groups_together_and_spread_labels(
    rows: list[tuple[int, int]], folds: int
) -> None:
    labels = [(str(label),) for label, _ in rows]
    groups = np.array([group for _, group in rows], dtype=np.int64)
    sets = LabelSets.of(labels, ["0", "1", "2", "3"])
    found = stratified_folds(sets, groups, folds, 1)
    assert found.min() >= 0 and found.max() < folds
    assert np.array_equal(found, stratified_folds(sets, groups, folds, 1))
    for group in set(groups.tolist()):
        mine = found[groups == group]
        if len(mine) <= max(1, len(rows) // (2 * folds)):
            assert len(set(mine.tolist())) == 1
    alone = stratified_folds(sets, np.arange(len(rows)), folds, 1)
    for label in range(4):
        counts = np.bincount(alone[[i for i, row in enumerate(rows) if row[0] == label]],
                             minlength=folds)  # fmt: skip
        assert counts.max() - counts.min() <= 1


def planted() -> tuple[list[str], list[tuple[str, ...]], list[int]]:
    """Texts of two kinds of words, six of them with the wrong label."""
    generator = np.random.default_rng(2)
    kinds = [[f"{kind}{i}" for i in range(12)] for kind in "xyz"]
    true = np.arange(150) % 3
    texts = [" ".join(generator.choice(kinds[k], 5)) for k in true]
    wrong = [3, 14, 55, 76, 97, 118]
    labels = [("abc"[(k + (i in wrong)) % 3],) for i, k in enumerate(true.tolist())]
    return texts, labels, wrong


def test_planted_errors_are_ranked_first_and_named() -> None:
    texts, labels, wrong = planted()
    names = ["a", "b", "c"]
    found = judge(texts, labels, names, np.arange(150), PLAN, Silent(), multi_label=False)
    assert sorted(found.doubts.order[:6].tolist()) == wrong
    assert found.doubts.errors[wrong].all()
    assert found.suggested(3, names, several=False) == ("a",)
    assert 0.9 < found.accuracy <= 144 / 150
    again = judge(texts, labels, names, np.arange(150), PLAN, Silent(), multi_label=False)
    assert np.array_equal(found.probabilities, again.probabilities)


def test_several_labels() -> None:
    texts, labels, wrong = planted()
    both = [(*names, "all") for names in labels]
    names = ["a", "all", "b", "c"]
    found = judge(texts, both, names, np.arange(150), PLAN, Silent(), multi_label=True)
    assert sorted(found.doubts.order[:6].tolist()) == wrong
    assert found.suggested(3, names, several=True) == ("a", "all")


def test_a_copy_does_not_vouch_and_a_lonely_label_is_not_judged() -> None:
    texts, labels, wrong = planted()
    copies = [texts[i] for i in wrong]
    labels = labels + [labels[i] for i in wrong] + [("only",)]
    texts = texts + copies + ["x1 y1"]
    groups = np.array([*range(150), *wrong, 156])
    found = judge(texts, labels, ["a", "b", "c", "only"], groups, PLAN, Silent(),
                  multi_label=False)  # fmt: skip
    assert set(found.judged[found.doubts.order[:12]].tolist()) == {*wrong, *range(150, 156)}
    assert 156 not in found.judged
