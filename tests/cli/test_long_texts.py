"""Long texts in windows, explanation by masking, and a small model before an encoder."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run, run_program

TRAIN, TEST, NEW = (
    str(SAMPLES / f"{name}.csv") for name in ("reviews_en", "reviews_en_test", "new_messages")
)


@pytest.fixture(scope="module")
def tuned(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with ``windows``, which reads texts in windows of ten pieces; do not write."""
    store = tmp_path_factory.mktemp("windows") / "store"
    done = run_program(
        store, "finetune", TRAIN, "--from", encoder, "-o", "windows", "--precision", "fp32",
        "--epochs", 1, "--max-length", 12, "--long", "window", "--window-overlap", 4, "--lr", 1e-3,
        "--threads", 1,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "longer than 12 pieces and read in windows: " in done.err and " cut" not in done.err
    return store


@pytest.fixture
def program(tuned: Path) -> Run:
    return lambda *arguments, **more: run_program(tuned, *arguments, **more)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_windows_are_read_and_told_of(program: Run) -> None:
    line = ["predict", "-m", "windows", TEST, "--precision", "fp32"]
    whole, alone = program(*line), program(*line, "--line-buffered", "--only")
    assert whole.code == 0 and whole.err == alone.err
    assert whole.err.startswith("longer than 12 pieces and read in windows: ")
    assert " of 80 rows, " in whole.err and len(whole.err.splitlines()) == 1
    for first, second in zip(table(whole.out), table(alone.out), strict=True):
        assert first["predicted_label"] == second["predicted_label"]
        p, q = (float(row["predicted_probability"]) for row in (first, second))
        assert abs(p - q) <= 2e-6
    measured = program("eval", "-m", "windows", TEST, "--json", "--precision", "fp32")
    assert measured.err == whole.err
    more = ["-m", "windows@1", "--resamples", "20", "--no-cost", "--precision", "fp32"]
    more += ["--out-of-scope", NEW, "--conformal", "0.8", "--calibration-file", TEST]
    several = program("eval", "-m", "windows", TEST, *more).err.splitlines()
    assert several == [f"{name}: {whole.err.rstrip()}" for name in ("windows", "windows@1")]
    right = [row["label"] == row["predicted_label"] for row in table(whole.out)]
    document = json.loads(measured.out)
    assert document["accuracy"]["value"] == pytest.approx(sum(right) / 80)
    assert program(*line, "-q").err == ""
    rows = "text\n" + "late " * 49 + "\n" + "late " * 30 + "broken " * 19 + "\n"
    first, second = table(program("predict", "-m", "windows", "--only", stdin=rows).out)
    assert first != second  # the end is read too


def test_words_that_a_label_hangs_on(program: Run) -> None:
    done = program("predict", "-m", "windows", NEW, "--explain", 3, "--precision", "fp32")
    assert done.code == 0
    texts = [row["text"] for row in table(Path(NEW).read_text(encoding="utf-8"))]
    for text, row in zip(texts, table(done.out), strict=True):
        reasons = json.loads(row["predicted_explanation"])
        assert len(reasons) == min(3, len(reasons)) and all(name in text for name, _ in reasons)
        amounts = [abs(amount) for _, amount in reasons]
        assert amounts == sorted(amounts, reverse=True)
    none = program("predict", "-m", "windows", "--explain", 3, "--only", stdin='text\n""\n')
    assert table(none.out)[0]["predicted_explanation"] == "[]"


def test_a_small_model_answers_first(program: Run, models: Path, tmp_path: Path) -> None:
    small = str(models / "reviews" / "1")
    line = ["predict", "-m", "windows", TEST, "--cascade", small, "--precision", "fp32"]
    done = program(*line, "--cascade-above", 0.8)
    assert done.code == 0, done.err
    found = table(done.out)
    assert list(found[0])[-3:] == ["predicted_label", "predicted_probability", "predicted_by"]
    by = {
        "small": table(program("predict", "-m", small, TEST).out),
        "encoder": table(program(*line[:4], "--precision", "fp32").out),
    }
    assert {row["predicted_by"] for row in found} == {"small", "encoder"}
    for i, row in enumerate(found):
        told = by[row["predicted_by"]][i]
        assert row["predicted_label"] == told["predicted_label"]
        near = pytest.approx(float(told["predicted_probability"]), abs=2e-6)
        assert float(row["predicted_probability"]) == near
        assert (row["predicted_by"] == "small") == (
            float(by["small"][i]["predicted_probability"]) >= 0.8
        )
    assert program(*line, "--cascade-above", 0.8, "--line-buffered").out == done.out

    chosen = program(*line, "--cascade-dev", TEST, "--cascade-loss", 0.05)
    assert chosen.code == 0 and "cascade, 80 dev rows: " in chosen.err, chosen.err
    assert "chosen on these rows, so on others it may lose more" in chosen.err
    above = re.search(r"next time: --cascade-above (\S+)", chosen.err)
    assert above and program(*line, "--cascade-above", above[1]).out == chosen.out
    share = sum(row["predicted_by"] == "small" for row in table(chosen.out)) / 80
    assert f" answers {share:.1%}, from " in chosen.err
    both = sum(row["label"] == row["predicted_label"] for row in table(chosen.out)) / 80
    assert f", both {both:.4f}\n" in chosen.err
    alone = sum(row["label"] == row["predicted_label"] for row in by["encoder"]) / 80
    assert f"the encoder {alone:.4f}" in chosen.err and both >= alone - 0.05
    dev = tmp_path / "dev.csv"
    dev.write_text("text,label\nlate,no such\nbroken,quality\n", encoding="utf-8")
    other = program(*line, "--cascade-dev", dev, "--only")
    assert other.code == 0 and "labels that the models do not know: no such" in other.err
    dev.write_text("text,label\nlate,no such\n", encoding="utf-8")
    other = program(*line, "--cascade-dev", dev)
    assert (other.code, other.out) == (65, "") and "no label that the models know" in other.err


def test_dev_rows_of_a_cascade_are_read_as_the_input(
    program: Run, models: Path, tmp_path: Path
) -> None:
    dev = tmp_path / "dev.data"
    dev.write_text("text\tlabel\nlate, so late\tdelivery\nbad\nbroken\tquality\n")
    line = ["predict", "-m", "windows", "--format", "tsv", "--cascade", models / "reviews" / "1"]
    rows = "text\tn\nlate\t1\n"
    done = program(*line, "--cascade-dev", dev, "--on-error", "skip", stdin=rows)
    assert done.code == 0, done.err
    assert "cascade, 2 dev rows" in done.err and "1 bad rows skipped" in done.err
    dev = tmp_path / "dev.csv"  # an ending tells more
    dev.write_text("text,label\nlate,delivery\nbroken\n")
    done = program(*line, "--cascade-dev", dev, stdin=rows)
    assert done.code == 65 and "dev.csv line 3: 1 field" in done.err, done.err


@pytest.mark.parametrize(
    ("model", "more", "code", "said"),
    [
        ("windows", ["--cascade", "SMALL"], 2, "Either --cascade-above or --cascade-dev"),
        ("windows", ["--cascade", "SMALL", "--cascade-above", "0.5", "--cascade-dev", TEST], 2,
         "Either --cascade-above or --cascade-dev"),
        ("windows", ["--cascade-above", "0.5"], 2, "--cascade-above has no meaning without"),
        ("windows", ["--cascade", "SMALL", "--cascade-above", "0.5", "--cascade-loss", "0.1"], 2,
         "--cascade-loss has no meaning without --cascade-dev"),
        ("windows", ["--cascade", "SMALL", "--cascade-above", "1.5"], 2, "--cascade-above"),
        ("windows", ["--cascade", "none", "--cascade-above", "0.5"], 66, "none"),
        ("windows", ["--cascade", "SMALL", "--cascade-dev", "none.csv"], 66, "none.csv"),
        ("windows", ["--cascade", "SMALL", "--cascade-above", "0.5", "--explain", "2"], 2,
         "--explain: not with --cascade"),
        ("windows", ["--cascade", "SMALL", "--cascade-above", "0.5", "--drift", "d.json"], 2,
         "--drift: not with --cascade"),
        ("windows", ["--cascade", "TAGS", "--cascade-above", "0.5"], 2, "any number of labels"),
        ("SMALL", ["--cascade", "windows", "--cascade-above", "0.5"], 2, "is no encoder"),
        ("windows", ["--embed", "cls", "--cascade", "SMALL", "--cascade-above", "0.5"], 2,
         "--cascade"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(
    program: Run, models: Path, model: str, more: list[str], code: int, said: str
) -> None:
    meant = {"SMALL": str(models / "reviews" / "1"), "TAGS": str(models / "tags" / "1")}
    words = [meant.get(word, word) for word in [model, *more]]
    done = program("predict", NEW, "-m", *words)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err


def test_windows_of_what_has_none(tuned: Path, encoder: Path) -> None:
    line = ["finetune", TRAIN, "--from", encoder, "-o", "other", "--dry-run"]
    done = run_program(tuned, *line, "--window-overlap", 3)
    assert done.code == 2 and "--window-overlap has no meaning without --long window" in done.err
    whole, cut = (
        json.loads(run_program(tuned, *line, "--json", "--max-length", 12, *more).out)
        for more in (["--long", "window"], [])
    )
    assert whole["cut_rows"] == 0 < cut["cut_rows"] and whole["steps"] > cut["steps"]
