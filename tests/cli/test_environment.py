"""Small machines, limits, odd numbers: the environment and numerical rows of the fault table."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment

TRAIN = SAMPLES / "reviews_en.csv"
ROWS = SAMPLES / "new_messages.csv"


def shell(store: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line], env=environment(store), cwd=store.parent, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip


def test_64_open_files_and_one_thread(tmp_path: Path) -> None:
    done = shell(
        tmp_path / "store",
        f"ulimit -n 64; {PROGRAM} train-fasttext {TRAIN} -o m -q --threads 1 --dev-fraction 0.1"
        f" && {PROGRAM} predict -m m {ROWS} -q && {PROGRAM} eval -m m {TRAIN} -q --json",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = shell(
        store,
        f"umask 027; {PROGRAM} train-fasttext {TRAIN} -o m -q"
        f" && {PROGRAM} predict -m m {ROWS} -o out.csv && {PROGRAM} models pin m",
    )
    assert done.returncode == 0, done.stderr
    modes = {
        str(p.relative_to(tmp_path)): stat.S_IMODE(p.stat().st_mode)
        for p in (store / "m", *(store / "m" / "1").iterdir(), store / "m" / "pinned",
                  store / "m" / "1", tmp_path / "out.csv")
    }  # fmt: skip
    assert {oct(m) for m in modes.values()} == {"0o750", "0o640"}
    assert all((m == 0o750) == (tmp_path / p).is_dir() for p, m in modes.items())


def test_what_does_not_fit_into_memory_is_refused_with_an_estimate(
    fresh: Run, tmp_path: Path
) -> None:
    path = tmp_path / "many.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(60_000):
            writer.writerow([f"a{i} b{i} c{i} d{i} e{i}", f"label{i}"])
    done = fresh("train-fasttext", path, "-o", "m")
    assert done.code == 69
    assert "540,000 features x 60,000 labels need about" in done.err
    assert "hint: --dim" in done.err
    assert not (tmp_path / "store" / "m").exists()


@pytest.mark.parametrize("weight", ["1e300", "-1", "nan", "inf", "x", ""])
def test_a_weight_that_is_none_is_named_with_its_line(
    fresh: Run, tmp_path: Path, weight: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"text,label,w\na b,x,1\nc d,y,{weight}\ne f,x,1\n")
    done = fresh("train-fasttext", path, "-o", "m", "--weight-column", "w")
    assert done.code == 65
    assert f"x.csv line 3: weight {weight}" in done.err.replace("'", "").replace('"', "")
    assert "wanted a number from 0 to 1e+09" in done.err and done.err.count("\n") == 2
    assert not (tmp_path / "store" / "m").exists()


@pytest.mark.parametrize("option", ["--lr", "--dev-fraction", "--save-every", "--threshold"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "x"])
def test_numbers_out_of_range(fresh: Run, option: str, value: str) -> None:
    done = fresh("train-fasttext", TRAIN, "-o", "m", option, value)
    assert done.code == 2
    assert option in done.err


def test_answers_do_not_depend_on_threads(models: Path) -> None:
    outs = {
        subprocess.run(
            [PROGRAM, "predict", "-m", "reviews", ROWS, "--probabilities"],
            env=environment(models, OMP_NUM_THREADS=n, OPENBLAS_NUM_THREADS=n), capture_output=True,
        ).stdout
        for n in ("1", "2")
    }  # fmt: skip
    assert len(outs) == 1


def test_training_with_one_or_two_threads_gives_the_same_labels(fresh: Run) -> None:
    labels = []
    for threads in (1, 2):
        fresh("train-fasttext", TRAIN, "-o", f"m{threads}", "-q", "--threads", threads)
        out = fresh("predict", "-m", f"m{threads}", ROWS, "--only").out
        labels.append([row["predicted_label"] for row in csv.DictReader(out.splitlines())])
    assert labels[0] == labels[1]


def test_a_label_that_the_dev_part_lacks_and_one_that_is_rare(fresh: Run, tmp_path: Path) -> None:
    train, dev = tmp_path / "train.csv", tmp_path / "dev.csv"
    train.write_text("text,label\n" + "good day,a\n" * 5000 + "odd one,b\nodd two,c\n")
    dev.write_text("text,label\ngood,a\nodd,b\n")
    done = fresh("train-fasttext", train, "-o", "m", "--dev", dev, "--json")
    metrics = json.loads(done.out)["metrics"]
    assert all(v is None or v == v for v in metrics.values())
    document = json.loads(fresh("eval", "-m", "m", dev, "--json").out)
    assert document["per_label"]["b"]["support"] == 1


def test_one_row_a_label_and_texts_that_are_all_unknown(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\none,a\ntwo,b\n")
    assert fresh("train-fasttext", path, "-o", "m", "-q").code == 0
    done = fresh("predict", "-m", "m", "--only", "--probabilities", stdin="text\nзззз\n😀\n")
    for row in csv.DictReader(done.out.splitlines()):
        both = float(row["predicted_probability:a"]) + float(row["predicted_probability:b"])
        assert abs(both - 1) < 2e-6


def test_the_same_text_with_two_labels_is_told(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\none,a\none,b\ntwo,b\n")
    done = fresh("train-fasttext", path, "-o", "m")
    assert "texts that occur with different labels: 1" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_predict_and_leaves_the_old_file(
    models: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    process = subprocess.Popen(
        [PROGRAM, "predict", "-m", "reviews", "-o", out], env=environment(models),
        stdin=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(b"text\nhello\n")
    process.stdin.flush()
    deadline = time.monotonic() + 20
    while len(os.listdir(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(10) == code
    process.stdin.close()
    assert out.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_path_with_odd_bytes_is_printed_as_it_is(tmp_path: Path) -> None:
    name = b"odd\xff/model"
    (tmp_path / os.fsdecode(b"odd\xff")).mkdir()
    done = subprocess.run(
        [os.fsencode(PROGRAM), b"train-fasttext", os.fsencode(TRAIN), b"-o", name],
        env=environment(tmp_path / "store"), cwd=tmp_path, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == os.fsencode(tmp_path) + b"/" + name + b"\n"


def test_lists_in_json_lines_are_kept(nlpcli: Run) -> None:
    done = nlpcli(
        "predict", "-m", "reviews", "--format", "jsonl", "--output-format", "jsonl",
        stdin='{"text": "hello", "tags": ["x y", "z"]}\n',
    )  # fmt: skip
    assert json.loads(done.out)["tags"] == ["x y", "z"]
