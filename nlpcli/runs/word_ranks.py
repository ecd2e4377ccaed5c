"""A run of train-w2v in several processes: rank 0 leads it, the others follow."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nlpcli.data.id_corpus import IdCorpus, hand_over, taken_over
from nlpcli.errors import NlpcliError, OutputFailed
from nlpcli.runs import interrupts
from nlpcli.runs.interrupts import Interrupted
from nlpcli.runs.word_prediction import make_prediction, threads_of_rank

if TYPE_CHECKING:
    from nlpcli.runs.word_training import WordRequest
    from nlpcli.training.ranks import Ranks

CORPUS, END, LEFT = "corpus", "end", "left"
"""What is told: where the corpus lies, rank 0's exit code, and that a rank has heard it."""
LOOK_SECONDS = 0.05
FAREWELL_SECONDS = 5.0
LAST_WORD_SECONDS = 1.0
"""Time for rank 0 to say what went wrong: torchrun ends all when the first one fails."""


@contextlib.contextmanager
def leading(ranks: Ranks | None) -> Iterator[None]:
    """A block of rank 0, at the end of which the others are told how it ended."""
    code = 0
    try:
        yield
    except BaseException as error:
        code = getattr(error, "exit_code", 70)
        raise
    finally:
        if ranks is not None:
            with contextlib.suppress(NlpcliError), interrupts.deferred():
                _farewell(ranks, code)


def _farewell(ranks: Ranks, code: int) -> None:
    ranks.tell(END, str(code))
    ranks.leave()
    until = time.monotonic() + FAREWELL_SECONDS
    others = [f"{LEFT}-{rank}" for rank in range(1, ranks.size)]
    while time.monotonic() < until and not all(ranks.heard(key) for key in others):
        time.sleep(LOOK_SECONDS)


def tell_corpus(corpus: IdCorpus, ranks: Ranks) -> None:
    """Rank 0 has read the corpus, which the others take from its files. Raises OutputFailed."""
    assert isinstance(corpus.ids, np.memmap) and corpus.ids.filename is not None
    folder = Path(os.fsdecode(corpus.ids.filename)).resolve().parent
    try:
        hand_over(corpus, folder)
    except OSError as error:
        raise OutputFailed(f"{folder}: {error.strerror}") from None
    ranks.tell(CORPUS, json.dumps(str(folder)))


def follow(request: WordRequest, ranks: Ranks) -> int:
    """Trains as another rank than 0, which has the corpus and saves; gives its exit code."""
    try:
        corpus = _awaited(ranks)
        if corpus is not None:
            _train(request, corpus, ranks)
    except (Interrupted, NlpcliError):  # rank 0 says why, if it can
        pass
    with interrupts.deferred():
        ranks.leave()
        until = float("inf")
        while (code := ranks.heard(END)) is None and time.monotonic() < until:
            if interrupts.pending():  # rank 0 may be gone without a word
                until = min(until, time.monotonic() + interrupts.PATIENCE)
            time.sleep(LOOK_SECONDS)
        ranks.tell(f"{LEFT}-{ranks.rank}", "1")
        if code != "0":
            time.sleep(LAST_WORD_SECONDS)
    return int(code or 0)  # without a word, it is the signal that ends this process


def _awaited(ranks: Ranks) -> Path | None:
    """The folder of the corpus; None when rank 0 ended before."""
    while (told := ranks.heard(CORPUS)) is None:
        if ranks.heard(END) is not None:
            return None
        time.sleep(LOOK_SECONDS)
    return Path(json.loads(told))


def _train(request: WordRequest, folder: Path, ranks: Ranks) -> None:
    from nlpcli.models.word2vec_config import Word2VecConfig

    assert isinstance(request.recipe, Word2VecConfig)
    prediction = make_prediction(
        taken_over(folder), request.recipe, seed=request.seed,
        threads=threads_of_rank(request.threads, ranks.size), device=request.device, ranks=ranks,
        stop=interrupts.pending,
    )  # fmt: skip
    with interrupts.deferred():
        for now in prediction.training:
            if now.stop:
                break
