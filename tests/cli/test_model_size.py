"""--model-size: the bound is kept, the model answers as any other, nothing is gone on from."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from .conftest import PROGRAM, SAMPLES, Run, environment, run_program

TRAIN = SAMPLES / "reviews_en.csv"
TAGS = (SAMPLES / "tags_en.csv", "--label-column", "labels", "--label-separator", ";")
TEST = SAMPLES / "reviews_en_test.csv"


def folder_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with ``small``, of at most 20,000 bytes; do not write."""
    store = tmp_path_factory.mktemp("small") / "store"
    done = run_program(
        store, "train-fasttext", TRAIN, "-o", "small", "-q", "--model-size", "20K",
        "--dev-fraction", 0.2, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["model_bytes"] == folder_size(store / "small" / "1") <= 20_000
    manifest = json.loads((store / "small" / "1" / "manifest.json").read_bytes())
    assert manifest["config"]["n_features"] == report["features"]
    assert manifest["metrics"] == report["metrics"]
    return store


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(8_000, 60_000))
def test_the_bound_is_kept(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    store = tmp_path_factory.mktemp("bound") / "store"
    done = run_program(store, "train-fasttext", TRAIN, "-o", "m", "-q", "--model-size", size)
    assert done.code == 0, done.err
    assert folder_size(store / "m" / "1") <= size


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([TRAIN, "--dim", 8, "--loss", "softmax"], marks=pytest.mark.slow),
        pytest.param([*TAGS], marks=pytest.mark.slow),
        pytest.param([*TAGS, "--dim", 8], marks=pytest.mark.slow),
        [TRAIN, "--dim", 8, "--loss", "hs"],
        pytest.param(
            [TRAIN, "--dim", 8, "--loss", "adaptive", "--dev-fraction", 0.2],
            marks=pytest.mark.slow,
        ),
        [*TAGS, "--dim", 8, "--loss", "ns"],
        [TRAIN, "--min-n", 2, "--max-n", 3, "--dev-fraction", 0.2, "--buckets", 5000],
    ],
)
def test_other_kinds_of_models(fresh: Run, tmp_path: Path, options: list[object]) -> None:
    done = fresh("train-fasttext", *options, "-o", "m", "-q", "--model-size", "24K")
    assert done.code == 0, done.err
    assert folder_size(tmp_path / "store" / "m" / "1") <= 24_000
    assert fresh("models", "verify", "m").code == 0
    explain = [] if {"hs", "adaptive"} & set(options) else ["--explain", 2]
    answers = fresh("predict", "-m", "m", *explain, SAMPLES / "new_messages.csv")
    assert answers.code == 0, answers.err


def test_it_is_about_as_good(small: Path) -> None:
    done = run_program(small, "eval", "-m", "small", TEST, "--json")
    assert json.loads(done.out)["accuracy"]["value"] > 0.85


def test_the_metrics_are_those_of_the_model_that_is_kept(fresh: Run, tmp_path: Path) -> None:
    done = fresh(
        "train-fasttext", TRAIN, "--dev", TEST, "-o", "m", "--json", "-q", "--model-size", "9K",
        "--publish-if", "accuracy>=0.5",
    )  # fmt: skip
    report = json.loads(done.out)
    scored = json.loads(fresh("eval", "-m", "m", TEST, "--json").out)
    for name in ("accuracy", "macro_f1", "log_loss"):
        assert report["metrics"][name] == pytest.approx(scored[name]["value"], abs=1e-12)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(fresh: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--model-size", "12K").code == 0
    one, two = (tmp_path / "store" / "m" / v / "model.safetensors" for v in "12")
    assert one.read_bytes() == two.read_bytes()


def test_the_answer_does_not_depend_on_the_company(small: Path) -> None:
    header, *rows = TEST.read_text(encoding="utf-8").splitlines(keepends=True)
    line = ("predict", "-m", "small", "--probabilities")
    together = run_program(small, *line, stdin=header + "".join(rows)).out.splitlines()[1:]
    for i in (0, 7, 31):
        alone = run_program(small, *line, stdin=header + rows[i]).out.splitlines()[1:]
        assert alone == [together[i]]


def test_it_cannot_be_gone_on_from(small: Path) -> None:
    done = run_program(small, "train-fasttext", TRAIN, "-o", "next", "--continue-from", "small")
    assert done.code == 2
    assert done.err == (
        "error: --continue-from small: its size was limited, so it cannot be gone on from\n"
        "hint: a model that was trained without --model-size\n"
    )


def test_a_size_with_room_leaves_the_model_as_it_is(fresh: Run, tmp_path: Path) -> None:
    for more in ([], ["--model-size", "1.5G"]):
        assert fresh("train-fasttext", TRAIN, "-o", "m", "-q", *more).code == 0
    for name in ("model.safetensors", "optimizer.safetensors", "tokenizer.json"):
        one, two = (tmp_path / "store" / "m" / v / name for v in "12")
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_size_that_cannot_be(fresh: Run, tmp_path: Path, dry: tuple[str, ...]) -> None:
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--model-size", "2K", *dry)
    assert (done.code, done.out) == (2, "")
    assert "error: --model-size 2,000: a model of 4 labels takes " in done.err
    assert not (tmp_path / "store" / "m").exists()


def test_the_plan_knows_the_bound(fresh: Run) -> None:
    done = fresh(
        "train-fasttext", TRAIN, "-o", "m", "--model-size", "20K", "--dry-run", "--json", "-q"
    )
    assert json.loads(done.out)["model_bytes"] == 20_000


def test_words_that_are_no_size_and_options_that_exclude_each_other(fresh: Run) -> None:
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--model-size", "2MB")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert fresh("train-fasttext", TRAIN, "-o", "a", "-q").code == 0
    both = ("--continue-from", "a", "--model-size", "2M")
    assert fresh("train-fasttext", TRAIN, "-o", "m", *both).code == 2


def test_a_folder_that_was_tampered_with_is_refused(small: Path, tmp_path: Path) -> None:
    source = small / "small" / "1"
    tensors = load((source / "model.safetensors").read_bytes())
    for name, change in (
        ("codes", lambda a: a[:-1]),
        ("hash_high", np.zeros_like),
        ("idf_levels", np.zeros_like),
        ("centroids", lambda a: np.full_like(a, np.nan)),
    ):
        target = tmp_path / name
        target.mkdir()
        data = save({**tensors, name: np.ascontiguousarray(change(tensors[name]))})
        (target / "model.safetensors").write_bytes(data)
        (target / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
        forge(source, target, data)
        done = run_program(small, "predict", "-m", f"{target}", TEST)
        assert (done.code, done.out) == (65, ""), name
        assert done.err.count("\n") == 1


def forge(source: Path, target: Path, data: bytes) -> None:
    """A manifest whose hashes are right for other weights."""
    document = json.loads((source / "manifest.json").read_bytes())
    document["files"]["model.safetensors"] = {
        "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    del document["manifest_sha256"]
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    document["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    whole = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (target / "manifest.json").write_text(whole, encoding="utf-8")


@pytest.mark.slow
def test_a_signal_while_it_is_made_smaller_and_the_same_bytes_in_the_end(tmp_path: Path) -> None:
    store = tmp_path / "store"
    line = [
        "train-fasttext", str(TRAIN), "-o", "m", "--model-size", "20K", "--dim", "4",
        "--epochs", "300", "--save-every", "100",
    ]  # fmt: skip
    process = subprocess.Popen(
        [PROGRAM, *line, "-v"], env=environment(store), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr as messages:
        next(message for message in messages if "keeping" in message)
        process.send_signal(signal.SIGTERM)
        messages.read()
    assert process.wait(30) == 143
    done = run_program(store, *line, "--resume")
    assert done.code == 0, done.err
    assert "resuming after step" in done.err
    assert run_program(store, *line, "-q").code == 0
    one, two = (store / "m" / v / "model.safetensors" for v in "12")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
def test_if_changed_knows_the_size(fresh: Run) -> None:
    line = ("train-fasttext", TRAIN, "-o", "m", "--if-changed", "--json", "-q")
    for size, unchanged in (("20K", None), ("20000", True), ("21K", None)):
        report = json.loads(fresh(*line, "--model-size", size).out)
        assert report.get("unchanged") is unchanged
