"""models show --plot: the installed program, of word vectors and of encoders."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlpcli.store.encoder import KIND, write_encoder
from nlpcli.store.store import Store

from ..evaluation.test_run_page import entries, log
from ..store.test_encoder import encoder
from .conftest import SAMPLES, Run

VECTORS = SAMPLES / "words_en.vec"


@pytest.mark.parametrize(
    ("method", "shown"), [("pca", "PCA"), pytest.param("tsne", "t-SNE", marks=pytest.mark.slow)]
)
def test_a_page_of_words(fresh: Run, tmp_path: Path, method: str, shown: str) -> None:
    page = tmp_path / "words.html"
    page.write_text("old")
    line = ["models", "show", VECTORS, "--plot", "words.html", "--plot-words", 40]
    line += ["--plot-method", method]
    done = fresh(*line)
    assert (done.code, done.out) == (0, "words.html\n")
    assert done.err == f"{VECTORS}: 40 of 236 words by {shown}\n"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and "40 most frequent of 236 words" in text
    assert f"by {shown} (scikit-learn)" in text
    assert fresh(*line, "-q").err == ""
    assert page.read_text(encoding="utf-8") == text


def test_what_cannot_be_plotted_leaves_the_old_page(nlpcli: Run, tmp_path: Path) -> None:
    page = tmp_path / "words.html"
    page.write_text("old")
    done = nlpcli("models", "show", "reviews", "--plot", page)
    assert done.code == 65 and "a model of kind fasttext, wanted word vectors" in done.err
    assert page.read_text() == "old"
    done = nlpcli("models", "show", "reviews", "--plot", page, "--json")
    assert (done.code, done.err) == (2, "error: --plot and --json: give one of them\n")
    assert nlpcli("models", "show", VECTORS, "--plot", tmp_path / "no" / "x.html").code == 73
    done = nlpcli("models", "show", VECTORS, "--plot", VECTORS)
    assert done.code == 2 and "the same file as NAME" in done.err


def stored(store: Path, name: str, text: bytes | None) -> None:
    """An encoder whose run has left such a log, or none."""
    with Store(store).begin(name) as draft:
        config = write_encoder(draft, encoder(), {"run": {"optimizer": "muon"}})
        if text is not None:
            draft.write("log.jsonl", text)
        draft.publish(
            kind=KIND, created_by="test", config=config, labels=[], data={}, seed=1,
            metrics={"mlm_loss": 4.5},
        )  # fmt: skip


def test_a_page_of_a_run(fresh: Run, tmp_path: Path) -> None:
    store, target = tmp_path / "store", tmp_path / "run.html"
    stored(store, "enc", log(entries()))
    done = fresh("models", "show", "enc", "--plot", "run.html")
    assert (done.code, done.out) == (0, "run.html\n")
    assert done.err == f"{store}/enc/1: 60 steps, 491,520 tokens\n"
    page = target.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "muon" in page and "encoder.bert.hidden" in page
    stored(store, "bad", b'{"step": 1}\n')
    done = fresh("models", "show", "bad", "--plot", "run.html")
    wanted = f"{store}/bad/1/log.jsonl line 1: tokens: None, wanted a whole number"
    assert (done.code, done.err) == (65, f"error: {wanted}\n")
    stored(store, "imported", None)
    done = fresh("models", "show", "imported", "--plot", "run.html")
    assert done.code == 65 and "pretrain-bert did not make it" in done.err
    assert target.read_text(encoding="utf-8") == page
