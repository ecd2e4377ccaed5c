"""Whole tables: against scikit-learn's CountVectorizer, and the same however they are made."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from nlpcli.data import text_runs, unit_reading
from nlpcli.data.ngram_output import write_table
from nlpcli.data.rows import RowFormat
from nlpcli.data.unit_reading import Reading
from nlpcli.errors import DataError, Unavailable
from nlpcli.runs import ngrams as runs
from nlpcli.runs.ngrams import Counted, NgramRequest, count_ngrams
from nlpcli.shell.console import Console
from nlpcli.text.config import TokenizerConfig

DRAWS = np.random.default_rng(3)
WORDS = ["red", "cat", "的", "a", "dog", "runs", "!", "ever", "so"]
TEXTS = [" ".join(DRAWS.choice(WORDS, DRAWS.integers(0, 14))) for _ in range(80)]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def request(path: Path, **more: Any) -> NgramRequest:
    fields = {
        "level": "word", "label_column": None, "text_column": "text", "fmt": RowFormat(),
        "config": TokenizerConfig(word_ngrams=1),
    }  # fmt: skip
    reading = Reading(paths=[str(path)], **{k: more.pop(k, v) for k, v in fields.items()})  # type: ignore[arg-type]
    options: dict[str, Any] = {
        "min_n": 1, "max_n": 3, "min_count": 1, "joiner": " ", "memory": 10**9, "threads": None,
        "buckets": None, "by_label": False, "select": None, "collocations": None, **more,
    }  # fmt: skip
    return NgramRequest(reading=reading, **options)


def counted(path: Path, **more: Any) -> Counted:
    return count_ngrams(request(path, **more), Console(quiet=True))


def output(path: Path, **more: Any) -> bytes:
    table = counted(path, **more).table
    stream = io.BytesIO()
    write_table(stream, table, table.order("count", None, None), "csv")
    return stream.getvalue()


def rows(path: Path, **more: Any) -> dict[str, tuple[int, int]]:
    table = counted(path, **more).table
    found = table.rows(table.order("count", None, None))
    return dict(zip(found.names, zip(found.counts, found.documents, strict=True), strict=True))


def peer(analyzer: str, low: int, high: int) -> dict[str, tuple[int, int]]:
    options: dict[str, Any] = (
        {"tokenizer": str.split, "token_pattern": None} if analyzer == "word" else {}
    )
    made = CountVectorizer(analyzer=analyzer, ngram_range=(low, high), **options)
    x = made.fit_transform([" ".join(text.split()) for text in TEXTS])
    counts, held = np.asarray(x.sum(axis=0))[0], np.asarray((x > 0).sum(axis=0))[0]
    names = made.get_feature_names_out()
    return {n: (int(c), int(d)) for n, c, d in zip(names, counts, held, strict=True)}


def test_words_are_counted_as_by_scikit_learn(corpus: Path) -> None:
    assert rows(corpus) == peer("word", 1, 3)
    assert rows(corpus, min_n=4, max_n=9) == peer("word", 4, 9)
    frequent = {name: pair for name, pair in peer("word", 1, 3).items() if pair[0] >= 3}
    assert rows(corpus, min_count=3) == frequent


def test_characters_are_counted_as_by_scikit_learn(corpus: Path) -> None:
    assert rows(corpus, level="char", max_n=4) == peer("char", 1, 4)


@pytest.mark.parametrize("level", ["word", "char", "subword"])
def test_enough_buckets_are_as_good_as_exact(corpus: Path, level: str) -> None:
    done = counted(corpus, level=level, buckets=200_000)
    assert sum(found.mixed for found in done.collisions.values()) == 0
    assert done.n_units == counted(corpus, level=level).n_units
    assert rows(corpus, level=level, buckets=200_000) == rows(corpus, level=level)


def test_collisions_are_counted(corpus: Path) -> None:
    found = counted(corpus, max_n=1, buckets=4).collisions[1]
    exact = counted(corpus, max_n=1).table.parts[0]
    assert found.total == int(exact.counts.sum())
    assert 0 < found.used <= 4 < len(exact.counts)
    named = rows(corpus, max_n=1, buckets=4)
    right = sum(pair[0] for name, pair in rows(corpus, max_n=1).items() if name in named)
    assert found.mixed == found.total - right
    with pytest.raises(Unavailable, match="--memory is 200 MB"):
        counted(corpus, buckets=2**20, memory=2 * 10**8)


@pytest.fixture(params=["short runs", "one long line"])
def in_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs and pieces so small that everything is cut into many."""
    monkeypatch.setattr(text_runs, "RUN_BYTES", 64)
    monkeypatch.setattr(text_runs, "LONG_LINE", 128)
    monkeypatch.setattr(unit_reading, "_AHEAD", 1)
    monkeypatch.setattr(runs, "_SMALLEST", 40)
    monkeypatch.setattr(runs, "_LARGEST", 40)
    monkeypatch.setattr(runs, "_LEAST_ROOM", 4000)
    name: str = request.param
    return name


def test_the_bytes_are_the_same_for_any_threads_and_memory(corpus: Path, in_pieces: str) -> None:
    if in_pieces == "one long line":
        corpus.write_text("short\n" + " ".join(TEXTS) + "\nlast cat", encoding="utf-8")
    whole = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_runs, "RUN_BYTES", 1 << 18)
        patch.setattr(text_runs, "LONG_LINE", 1 << 20)
        patch.setattr(runs, "_SMALLEST", 1 << 16)
        patch.setattr(runs, "_LARGEST", 1 << 20)
        whole.write(output(corpus))
        in_buckets = output(corpus, buckets=2_000_000)
    assert output(corpus, threads=1) == whole.getvalue()
    assert output(corpus, threads=3, memory=10**8) == whole.getvalue()
    exact = sorted(whole.getvalue().splitlines())
    assert sorted(output(corpus, buckets=2_000_000).splitlines()) == exact
    assert sorted(in_buckets.splitlines()) == exact


@pytest.mark.parametrize("buckets", [None, 200_000])
def test_labels_are_counted_apart(tmp_path: Path, buckets: int | None) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na b a,x;y\nb,x\nb c,\n", encoding="utf-8")
    table = counted(
        path, label_column="label", fmt=RowFormat(label_separator=";"), max_n=1, by_label=True,
        buckets=buckets, select="chi2",
    ).table  # fmt: skip
    assert (table.labels, table.label_sizes.tolist(), table.n_documents) == (["x", "y"], [2, 1], 3)
    found = table.rows(table.order("count", None, None))
    assert found.labels is not None
    assert list(zip(found.labels, found.names, found.counts, found.documents, strict=True)) == [
        ("x", "a", 2, 1), ("x", "b", 2, 2), ("y", "a", 2, 1), ("y", "b", 1, 1),
    ]  # fmt: skip
    first = table.rows(table.order("count", 1, None))
    assert (first.labels, first.names) == (["x", "y"], ["a", "a"])
    assert table.rows(table.order("score", None, 0.5)).labels == ["x", "y"]


def test_too_many_words_and_blank_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_LEAST_ROOM", 60 * 2 * 5)
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + " ".join(f"w{i}" for i in range(9)) + ",x\nb,\n")
    with pytest.raises(Unavailable, match="more than 5 different words"):
        counted(path, memory=10**8)
    with pytest.raises(DataError, match="line 3: the label is blank"):
        counted(path, label_column="label")
    done = counted(path, label_column="label", fmt=RowFormat(on_error="skip"))
    assert (done.n_skipped, done.table.n_documents) == (1, 1)
