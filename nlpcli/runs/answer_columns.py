"""Probabilities of labels -> the columns of ``predict``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from nlpcli.runs.drift import DriftMonitor
    from nlpcli.runs.occlusion import Reason
    from nlpcli.store.classifier import Classifier

JOINER = ";"
"""Between the labels of a cell where the model was not told another separator."""


class Answers:
    """Probabilities -> the prediction columns of one batch.

    ``top_k`` None: the best label, or of several labels a row all above the threshold.
    """

    def __init__(
        self,
        model: Classifier,
        *,
        prefix: str,
        top_k: int | None,
        threshold: float | None,
        all_probabilities: bool,
        abstain_below: float,
        explain: int,
        monitor: DriftMonitor | None = None,
        label_set: float | None = None,
    ) -> None:
        self.model, self._explain, self.monitor = model, explain, monitor
        self._label_set, self._seen = label_set, False
        self._labels, self._multi = model.labels, model.multi_label
        self._separator = model.separator or JOINER
        self._top_k, self._most = min(top_k or 1, len(model.labels)), top_k
        self._threshold = model.limit(threshold)
        self._all, self._abstain = all_probabilities, abstain_below
        label, probability = f"{prefix}label", f"{prefix}probability"
        if self._multi:
            self.numeric = []
            self.columns = [f"{prefix}labels", f"{prefix}probabilities"]
        else:
            tails = [""] + [f"_{k}" for k in range(2, self._top_k + 1)]
            self.numeric = [probability + tail for tail in tails]
            self.columns = [c + tail for tail in tails for c in (label, probability)]
        if all_probabilities:
            each = [f"{probability}:{name}" for name in model.labels]
            self.numeric += each
            self.columns += each
        if label_set is not None:
            self.columns.append(f"{prefix}set")
        if explain:
            self._explained([], [])  # refused before anything is written
            self.columns.append(f"{prefix}explanation")

    def __call__(self, texts: list[str]) -> list[list[str]]:
        """One list of cells a column."""
        return self.cells(texts, self.model.probabilities(texts))

    def cells(self, texts: list[str], probabilities: npt.NDArray[np.float64]) -> list[list[str]]:
        """The same, of probabilities that are known."""
        if self.monitor is not None and not self._seen:
            self.monitor.see(texts, probabilities)
        columns = self._sets(probabilities) if self._multi else self._ranked(probabilities)
        if self._all:
            columns += [_cells(column) for column in probabilities.T]
        if self._label_set is not None:
            columns.append(self._likely(probabilities, self._label_set))
        if self._explain:
            columns.append(self._reasons(texts, probabilities))
        return columns

    def doubts(self, texts: list[str]) -> npt.NDArray[np.float64]:
        """How unsure the model is of each text, 0 to 1. The monitor sees these, and not again those
        of them that are then answered."""
        from nlpcli.evaluation.selection import doubt

        threshold = self._threshold if self._multi else None
        probabilities = self.model.probabilities(texts)
        if self.monitor is not None:
            self._seen = True
            self.monitor.see(texts, probabilities)
        return doubt(probabilities, threshold)

    def _reasons(self, texts: list[str], probabilities: npt.NDArray[np.float64]) -> list[str]:
        """JSON lists of n-gram, or of an encoder word, and what it adds to the logit of the most
        probable label; of pairs which text the word is of, too."""
        found = self._explained(texts, probabilities.argmax(axis=1).tolist())
        return [cell_of_reasons(row, lambda amount: round(amount, 4)) for row in found]

    def _explained(self, texts: list[str], labels: list[int]) -> Sequence[Sequence[Reason]]:
        """Raises UsageError for a model that has no reasons to give."""
        by_words = getattr(self.model, "explain", None)
        if by_words is not None:
            return cast("list[list[Reason]]", by_words(texts, labels, self._explain))
        from nlpcli.store.classifier import explain

        return explain(self.model, texts, labels, self._explain)

    def _ranked(self, probabilities: npt.NDArray[np.float64]) -> list[list[str]]:
        import numpy as np

        rows = np.arange(len(probabilities))
        if self._top_k == 1:
            order = probabilities.argmax(axis=1)[:, None]
        else:
            order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._top_k]
        columns: list[list[str]] = []
        for k in range(self._top_k):
            best = order[:, k]
            chosen = probabilities[rows, best]
            names = [self._labels[i] for i in best.tolist()]
            if self._abstain and k == 0:
                sure = (chosen >= self._abstain).tolist()
                names = [n if s else "" for n, s in zip(names, sure, strict=True)]
            columns += [names, _cells(chosen)]
        return columns

    def _sets(self, probabilities: npt.NDArray[np.float64]) -> list[list[str]]:
        import numpy as np

        names, values = [], []
        limit = max(self._threshold, self._abstain)
        for row in probabilities:
            chosen = np.flatnonzero(row >= limit)
            chosen = chosen[np.argsort(-row[chosen], kind="stable")]
            chosen = chosen[: self._most]
            names.append(self._separator.join(self._labels[i] for i in chosen.tolist()))
            values.append(self._separator.join(_cells(row[chosen])))
        return [names, values]

    def _likely(self, probabilities: npt.NDArray[np.float64], quantile: float) -> list[str]:
        """Each row's labels with a score up to the quantile, the most probable first."""
        import numpy as np

        from nlpcli.evaluation.conformal import label_sets

        order = np.argsort(-probabilities, axis=1, kind="stable")
        sizes = label_sets(probabilities, quantile).sum(axis=1).tolist()
        return [
            self._separator.join(self._labels[i] for i in row[:size].tolist())
            for row, size in zip(order, sizes, strict=True)
        ]


def cell_of_reasons(row: Sequence[Reason], shortened: Callable[[float], float]) -> str:
    """The reasons for an answer as a cell, with amounts of a few digits."""
    import json

    return json.dumps(
        [[name, shortened(amount), *side] for name, amount, *side in row], ensure_ascii=False
    )


def _cells(values: npt.NDArray[np.float64]) -> list[str]:
    return [f"{v:.6f}" for v in values.tolist()]
