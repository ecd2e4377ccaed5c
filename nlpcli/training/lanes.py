"""Threads that work side by side in steps, with results that do not depend on their speed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

T = TypeVar("T")


class Lanes:
    """``count`` threads, the caller's among them; a ``with`` block ends the others.

    torch lets others work while it computes, and its own threads share too little work in
    operations of this size.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._asked: list[SimpleQueue[Callable[[int], Any] | None]] = []
        self._answers: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for number in range(1, self.count):
            asked: SimpleQueue[Callable[[int], Any] | None] = SimpleQueue()
            thread = threading.Thread(target=self._serve, args=(number, asked), daemon=True)
            self._asked.append(asked)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for asked in self._asked:
            asked.put(None)
        for thread in self._threads:
            thread.join()
        self._asked, self._threads = [], []

    def run(self, work: Callable[[int], T]) -> list[T]:
        """``work(0)`` to ``work(count - 1)``, at once; the results in this order.

        Raises what one of them raised, after all have ended.
        """
        for asked in self._asked:
            asked.put(work)
        results: list[Any] = [None] * self.count
        failed: BaseException | None = None
        try:
            results[0] = work(0)
        except BaseException as error:
            failed = error
        for _ in self._asked:
            number, result, wrong = self._answers.get()
            results[number], failed = result, failed or wrong
        if failed is not None:
            raise failed
        return results

    def _serve(self, number: int, asked: SimpleQueue[Callable[[int], Any] | None]) -> None:
        torch.set_num_threads(1)  # counts for the thread that says it
        with torch.no_grad():
            while (work := asked.get()) is not None:
                try:
                    self._answers.put((number, work(number), None))
                except BaseException as error:
                    self._answers.put((number, None, error))
