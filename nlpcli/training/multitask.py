"""What an encoder learns about several tasks at once, and what it says of each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpcli.batching.framing import Rows, Specials
from nlpcli.models.shared_heads import SharedHeads
from nlpcli.training.answers import SequenceObjective, answers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class MultitaskObjective:
    """``tasks``: what is to be learnt about the rows of each, by name; rows are numbered one task
    behind the other, and those of a batch are of one task."""

    def __init__(self, model: SharedHeads, tasks: Mapping[str, SequenceObjective]) -> None:
        self._model, self._tasks = model, dict(tasks)
        self._names = list(tasks)
        sizes = [len(task.targets) for task in tasks.values()]
        self._first = np.concatenate([[0], np.cumsum(sizes)])

    def loss(self, outputs: Tensor, chosen: I64) -> Tensor:
        """The mean loss of the rows ``chosen`` [B] by the head of their task; ``outputs`` [B, D]
        are vectors."""
        at = int(np.searchsorted(self._first, chosen[0], side="right")) - 1
        name = self._names[at]
        return self._tasks[name].loss(self._model.logits(outputs, name), chosen - self._first[at])


@torch.no_grad()
def task_logits(model: SharedHeads, task: str, rows: Rows, specials: Specials) -> F64:
    """Logits of all texts by the head of a task, as ``logits_of`` gives them."""
    found = np.zeros((len(rows), model.n_outputs[task]))
    for chosen, vectors in answers(model, rows, specials):
        found[chosen] = model.logits(vectors, task).double().cpu().numpy()
    return found if rows.windows is None else rows.windows.means(found)
