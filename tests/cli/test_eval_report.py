"""eval --report: the installed program."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import SAMPLES, Run

TEST = SAMPLES / "reviews_en_test.csv"


def data(page: Path) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    assert found is not None
    return json.loads(found[1])


def test_the_page_says_what_the_document_says(nlpcli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = nlpcli("eval", "-m", "reviews", TEST, "--report", page, "--json", "--slices")
    assert (done.code, done.err) == (0, "")
    document, found = json.loads(done.out), data(page)
    part = found["models"][0]
    accuracy = document["accuracy"]["value"]
    assert part["metrics"][0][:2] == ["accuracy", accuracy]
    right = [t == g for t, g in zip(found["rows"]["true"], part["guess"], strict=True)]
    assert sum(right) / len(right) == accuracy and len(right) == document["n"]
    assert part["slices"]["looked_at"] == document["slices"]["looked_at"]
    texts = [line.split(",")[0].strip('"') for line in TEST.read_text().splitlines()[1:]]
    assert all(t.startswith(w) for t, w in zip(found["rows"]["text"], texts, strict=True))
    text = html.unescape(page.read_text())
    for said in ("rows_sha256", "created_by", "tokenizer.json", "nlpcli "):
        assert said in text, said
    first = page.read_bytes()
    assert nlpcli("eval", "-m", "reviews", TEST, "--report", page, "--slices", "-q").code == 0
    assert page.read_bytes() == first


def test_several_labels_and_predictions(nlpcli: Run, tmp_path: Path) -> None:
    page, file = tmp_path / "report.html", tmp_path / "p.csv"
    rows = nlpcli("predict", "-m", "reviews", TEST).out
    file.write_text(rows)
    done = nlpcli("eval", "-m", "reviews", TEST, "--predictions", file, "--no-cost",
                  "--report", page, "-q", "--resamples", 20)  # fmt: skip
    assert done.code == 0
    found = data(page)
    assert found["models"][0]["guess"] == found["models"][1]["guess"]
    assert "right on the same rows" in found["compared"]["comparisons"][0]["says"]
    done = nlpcli("eval", "--predictions", file, "--report", page, "-q", "--fail-under", "mcc=1")
    assert done.code == 1  # and the page is there all the same
    assert data(page)["rows"]["text"] == found["rows"]["text"]
    assert len(data(page)["rows"]["true"]) == 80


def test_confidences_of_predictions_are_drawn(nlpcli: Run, tmp_path: Path) -> None:
    page, file = tmp_path / "report.html", tmp_path / "p.csv"
    file.write_text(nlpcli("predict", "-m", "reviews", TEST).out)
    assert nlpcli("eval", "--predictions", file, "--report", page, "-q").code == 0
    mine = data(page)["models"][0]
    assert nlpcli("eval", "-m", "reviews", TEST, "--report", page, "-q").code == 0
    wanted = data(page)["models"][0]
    assert [point[1:] for point in mine["risk"]] == [point[1:] for point in wanted["risk"]]
    assert [row[:2] for row in mine["bins"]] == [row[:2] for row in wanted["bins"]]
    # what has no answer is in no bin, and is never answered
    rows = ["label,predicted_label,predicted_probability", *["a,a,0.9"] * 30, *["a,b,0.6"] * 10]
    file.write_text("\n".join([*rows, *["a,,0.4"] * 40]) + "\n")
    done = nlpcli("eval", "--predictions", file, "--report", page, "--json", "-q")
    mine, document = data(page)["models"][0], json.loads(done.out)
    assert [row[1] for row in mine["bins"]] == [10, 30]
    assert mine["sure"][:1] + mine["sure"][-1:] == [900, None]
    assert mine["risk"] == [[0.9, 0.375, 0], [0.6, 0.5, 0.25]]
    curve = [(point["coverage"], point["risk"]) for point in document["risk_coverage"]]
    assert curve == [(0.375, 0), (0.5, 0.25)] and document["aurc"]["value"] == 0.0625


def test_refused(nlpcli: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("old")
    copy = tmp_path / "test.csv"
    copy.write_bytes(TEST.read_bytes())
    line = ("eval", "-m", "reviews", copy, "--report")
    for more, code, said in (
        ([copy], 2, "the same file as TEST"),
        ([page, "--robustness", "--write-adversarial", page], 2, "the same file as --write-adv"),
        ([tmp_path], 73, "Is a directory"),
        ([page, "--label-column", "none"], 65, "no column none"),
    ):
        done = nlpcli(*line, *more)
        assert (done.code, done.out) == (code, "") and said in done.err, more
    assert page.read_text() == "old" and copy.read_bytes() == TEST.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["report.html", "test.csv"]


@pytest.mark.parametrize(
    ("sample", "line"),
    [
        ("predictions_en.csv", ["eval", "--report", "page.html", "--predictions"]),
        ("reviews_en.csv", ["ngrams", "--plot", "page.html"]),
        ("words_en.vec", ["models", "show", "--plot", "page.html", "--plot-method", "pca"]),
    ],
)
def test_pages_name_files_of_any_bytes(
    fresh: Run, tmp_path: Path, sample: str, line: list[str]
) -> None:
    file = tmp_path / os.fsdecode(b"caf\xe9.vec")
    file.write_bytes((SAMPLES / sample).read_bytes())
    done = fresh(*line, file.name, "-q")
    assert (done.code, done.err) == (0, "")
    assert "caf?.vec" in (tmp_path / "page.html").read_text(encoding="utf-8")
