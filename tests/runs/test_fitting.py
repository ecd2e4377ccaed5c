"""Stages of a training run that end in another way than a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from nlpcli.runs.fitting import watch
from nlpcli.training.loop import Diverged


class Diverging:
    def __iter__(self) -> Iterator[Any]:
        raise Diverged("training diverged in epoch 1: the loss is nan", [7, 0, 3])
        yield


def test_a_run_that_diverges_names_the_rows() -> None:
    parts: Any = SimpleNamespace(train=SimpleNamespace(lines=[2, 3, 4, 6, 8, 9, 10, 12]))
    console: Any = nullcontext()
    with pytest.raises(Diverged) as caught:
        watch(Diverging(), 1, parts, SimpleNamespace(), console)  # type: ignore[arg-type]
    assert caught.value.exit_code == 1
    assert caught.value.message.endswith("the loss is nan on the rows of lines 2, 6, 12")
