"""A run of train-lm: what stops it before the work, and what makes it the same again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nlpcli.data.rows import RowFormat
from nlpcli.data.unit_reading import Reading
from nlpcli.errors import CannotCreate, Unavailable
from nlpcli.runs import language_modelling
from nlpcli.runs.language_modelling import LanguageRequest, LanguageRun
from nlpcli.shell.console import Console
from nlpcli.store.store import Store
from nlpcli.text.config import TokenizerConfig

LINES = "the cat sat\nthe dog\n" * 500


def run(folder: Path, console: Console | None = None, **more: Any) -> LanguageRun:
    path = folder / "t.txt"
    path.write_text(LINES)
    reading = Reading(
        paths=[str(path)], fmt=RowFormat(), text_column="text", label_column=None, level="word",
        config=TokenizerConfig(word_ngrams=1),
    )  # fmt: skip
    request = LanguageRequest(
        output="m", reading=reading, order=3, smoothing="kneser-ney", min_count=1, threads=2
    )
    return LanguageRun(
        replace(request, **more), Store(folder / "store"), console or Console(quiet=True)
    )


def test_words_that_cannot_be_counted_are_told_of_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_modelling, "free_memory", lambda: 1000)
    with pytest.raises(Unavailable, match=r"the 2,500 words need up to 0\.0 GB of memory for ord"):
        run(tmp_path).plan()
    monkeypatch.setattr(language_modelling, "_CHECKED", 0)
    with pytest.raises(Unavailable, match="the 2,500 words read so far need"):
        run(tmp_path).plan()
    monkeypatch.setattr(language_modelling, "free_memory", lambda: None)
    assert run(tmp_path).plan()["memory_bytes"] == 3 * 40 * 4500


def test_at_a_path_an_unchanged_run_has_nothing_to_do(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), str(tmp_path / "model")
    for wanted in (False, True):
        with store.begin(path, if_changed=True) as draft:
            report = run(tmp_path, output=path, if_changed=True).run(draft)
        assert (bool(report.get("unchanged")), report["path"]) == (wanted, path)
    with (
        pytest.raises(CannotCreate, match="exists already"),
        store.begin(path, if_changed=True) as draft,
    ):
        run(tmp_path, output=path, if_changed=True, order=2).run(draft)


def test_the_same_run_has_the_same_record(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for wanted in (False, True):
        with store.begin("m") as draft:
            report = run(tmp_path, if_changed=True, threads=1 + wanted).run(draft)
        assert bool(report.get("unchanged")) == wanted
    for more in ({"order": 2}, {"min_count": 2}, {"smoothing": "laplace"}):
        with store.begin("m") as draft:
            assert not run(tmp_path, if_changed=True, **more).run(draft).get("unchanged")


def test_what_is_odd_about_labels_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "text,label\na b,cafe\u0301\na b,caf\u00e9\n"
    reading = Reading(
        paths=[str(tmp_path / "t.csv")], fmt=RowFormat(), text_column="text", label_column="label",
        level="word", config=TokenizerConfig(word_ngrams=1),
    )  # fmt: skip
    (tmp_path / "t.csv").write_text(rows, encoding="utf-8")
    run(tmp_path, reading=reading, console=Console()).read()
    err = capsys.readouterr().err
    assert "warning: texts that occur with different labels: 1\n" in err
    assert "look alike and are not the same characters: 'cafe\\u0301', 'caf\\xe9'\n" in err
