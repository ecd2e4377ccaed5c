"""Word vectors from counts: a corpus in, a model's vectors out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from nlpcli.models.word_vectors import WordVectors
from nlpcli.runs.memory import free_memory
from nlpcli.text import parallel

if TYPE_CHECKING:
    from nlpcli.batching.block_matrix import BlockMatrix
    from nlpcli.batching.cooccurrence import Window
    from nlpcli.data.id_corpus import IdCorpus
    from nlpcli.models.count_vectors import CountConfig
    from nlpcli.runs.reporting import Reporter

Contexts = Literal["words", "sentences", "blocks"]
CONTEXTS: tuple[Contexts, ...] = ("words", "sentences", "blocks")


def counted_vectors(
    corpus: IdCorpus,
    config: CountConfig,
    window: Window,
    console: Reporter,
    *,
    contexts: Contexts = "words",
    seed: int,
    threads: int | None = None,
) -> WordVectors:
    """Counts, weighs and factorises: each word's vector.

    ``contexts``: the words of a ``window``, or the sentences or blocks (between blank lines) that
    a word stands in. The same seed and ``threads`` give the same bytes; the work takes seconds for
    millions of words, so that an interrupted run begins again. Raises Unavailable when there is
    too little memory.
    """
    from threadpoolctl import threadpool_limits

    from nlpcli.models.count_vectors import count_vectors

    workers = threads or parallel.workers()
    with threadpool_limits(workers, user_api="blas"), console:
        counts = _counts(corpus, window, console, contexts, seed, workers)
        console.detail(f"{counts.nnz:,} counts of {' by '.join(f'{n:,}' for n in counts.shape)}")
        vectors = count_vectors(
            counts,
            config,
            seed=seed,
            workers=workers,
            progress=lambda done, total: console.progress("factorising", done, total),
        )
    return WordVectors(corpus.words, vectors, corpus.counts)


def _counts(
    corpus: IdCorpus, window: Window, console: Reporter, contexts: Contexts, seed: int, workers: int
) -> BlockMatrix:
    from nlpcli.batching.cooccurrence import term_document_counts, word_context_counts

    begun = time.perf_counter()

    def shown(done: int, total: int) -> None:
        rate = done / max(time.perf_counter() - begun, 1e-9)
        console.progress("counting", done, total, f"{rate:,.0f} words/s")

    if contexts == "words":
        return word_context_counts(
            corpus.ids,
            corpus.starts,
            corpus.counts,
            window,
            seed=seed,
            workers=workers,
            room=free_memory(),
            progress=shown,
        )
    borders = corpus.starts if contexts == "sentences" else corpus.blocks
    return term_document_counts(
        corpus.ids, borders, len(corpus.words), room=free_memory(), progress=shown
    )
