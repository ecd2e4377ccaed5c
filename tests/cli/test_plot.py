"""models show --plot: the installed program."""

from __future__ import annotations

from pathlib import Path

import pytest

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
