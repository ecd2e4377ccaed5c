"""A corpus for a training run: read with progress, kept on disk as long as the run needs it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlpcli.data.id_corpus import IdCorpus, encode_corpus
from nlpcli.data.phrases import PhraseConfig, joined_phrases
from nlpcli.errors import CannotCreate

if TYPE_CHECKING:
    from nlpcli.data.rows import Reject
    from nlpcli.runs.reporting import Reporter
    from nlpcli.text.config import TokenizerConfig


@contextlib.contextmanager
def corpus_on_disk(
    paths: Sequence[str],
    config: TokenizerConfig,
    place: Path,
    console: Reporter,
    *,
    min_count: int,
    threads: int | None = None,
    skip_bad: bool = False,
    on_reject: Reject | None = None,
    phrases: PhraseConfig | None = None,
) -> Iterator[IdCorpus]:
    """The corpus, for a ``with`` block; its files lie in ``place`` and are gone after it.

    With ``phrases`` words that belong together are joined before rare ones are left out. ``place``
    is best the folder of the model in the making: what a killed run leaves there is
    swept by the next one. Raises what ``encode_corpus`` raises, CannotCreate.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=place))
    except OSError as error:
        raise CannotCreate(f"{place}: {error.strerror}") from None
    try:
        with console:
            corpus = encode_corpus(
                paths,
                config,
                folder,
                min_count=min_count if phrases is None else 1,
                workers=threads,
                skip_bad=skip_bad,
                on_reject=on_reject,
                progress=_Reading(console),
            )
            if phrases is not None:
                corpus, n_phrases = joined_phrases(corpus, folder, phrases, min_count=min_count)
                console.say(f"phrases: {n_phrases:,} that occur {min_count:,} times")
        if corpus.n_skipped and on_reject is None:  # else that tells
            console.warn(f"{corpus.n_skipped:,} bad lines skipped")
        _tell(corpus, console)
        yield corpus
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Reading:
    """Shows how far reading has come, and how fast."""

    def __init__(self, console: Reporter) -> None:
        self._console, self._begun = console, time.perf_counter()

    def __call__(self, words: int, share: float | None) -> None:
        total = round(words / share) if share else None
        rate = words / max(time.perf_counter() - self._begun, 1e-9)
        self._console.progress("reading words", words, total, f"{rate:,.0f} words/s")


def _tell(corpus: IdCorpus, console: Reporter) -> None:
    if corpus.forgotten:
        console.warn(
            "too many different words: those met up to "
            f"{corpus.forgotten:,} times were forgotten on the way"
        )
    console.say(
        f"corpus: {corpus.n_raw:,} words; {len(corpus.ids):,} words in "
        f"{len(corpus.starts) - 1:,} sentences are used, {len(corpus.words):,} different ones of "
        f"{corpus.n_different:,}"
    )
