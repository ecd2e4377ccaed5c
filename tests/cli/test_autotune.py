import json
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment

TRAIN = SAMPLES / "reviews_en.csv"
FEW = ("--word-ngrams", 2, "--min-count", 1, "--lowercase", "--min-n", 0)
"""So that only the cost is free."""


SOME = ("--word-ngrams", "2", "--min-count", "1")


def _search(fresh: Run, *options: Any) -> dict[str, Any]:
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--autotune", "--json", *options)
    assert done.code == 0, done.err
    report: dict[str, Any] = json.loads(done.out)
    return report


@pytest.mark.slow
def test_the_command_that_is_printed_trains_the_same_model(fresh: Run, tmp_path: Path) -> None:
    found = _search(fresh, "--minutes", "0.05", "--dev-fraction=0.3")["autotune"]
    assert found["metric"] == "accuracy" and found["trials"] >= 3
    assert found["value"] >= found["first"]
    words = shlex.split(found["command"])
    assert words[0] == "nlpcli" and "--autotune" not in words and "--dev-fraction=0.3" not in words
    assert fresh(*words[1:]).code == 0
    store = tmp_path / "store" / "m"
    one, two = ((store / v / "model.safetensors").read_bytes() for v in "12")
    assert one == two


@pytest.mark.slow
def test_with_a_dev_file_the_metrics_are_its_and_the_command_keeps_it(
    fresh: Run, tmp_path: Path
) -> None:
    report = _search(fresh, "--dev", TRAIN, "--minutes", 0.1, "--autotune-metric", "macro_f1", *FEW)
    assert report["metrics"]["macro_f1"] == pytest.approx(report["autotune"]["value"], abs=1e-6)
    assert fresh(*shlex.split(report["autotune"]["command"])[1:]).code == 0
    store = tmp_path / "store" / "m"
    one, two = ((store / v / "model.safetensors").read_bytes() for v in "12")
    assert one == two


def test_without_time_the_first_trial_is_all(fresh: Run) -> None:
    found = _search(fresh, "--minutes", 0)["autotune"]
    assert (found["trials"], found["options"]) == (1, [])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--autotune-metric", "f1:billing", *FEW), marks=pytest.mark.slow),
        pytest.param(("--model-size", "20K", *FEW), marks=pytest.mark.slow),
        pytest.param(("--dim", 5, "--epochs", 5, *FEW), marks=pytest.mark.slow),
        ("--publish-if", "accuracy>=0.1", *FEW),
        pytest.param(
            ("--fasttext-compatible", "--buckets", 1000, "--epochs", 2, "--min-count", 1),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_with_other_options(fresh: Run, options: tuple[Any, ...]) -> None:
    report = _search(fresh, "--minutes", 0.05, *options)
    assert report["published"] and report["autotune"]["trials"] >= 1
    if "--model-size" in options:
        assert report["model_bytes"] <= 20_000
    if "--publish-if" in options:
        assert report["metrics"]["accuracy"] >= 0.1
        assert "--dev-fraction 0.2" in report["autotune"]["command"]
    assert fresh("predict", "-m", "m", TRAIN).code == 0


@pytest.mark.slow
def test_several_labels_a_row(fresh: Run) -> None:
    options = ("--label-column", "labels", "--label-separator", ";", "--minutes", 0.05, *FEW)
    done = fresh(
        "train-fasttext", SAMPLES / "tags_en.csv", "-o", "m", "--autotune", "--json", *options
    )
    assert done.code == 0 and json.loads(done.out)["autotune"]["metric"] == "micro_f1"


@pytest.mark.slow
def test_nothing_to_do_for_the_same_search(fresh: Run) -> None:
    first = _search(fresh, "--minutes", 0.05, *FEW)
    again = _search(fresh, "--minutes", 0.05, "--if-changed", *FEW)
    assert again["unchanged"] and again["path"] == first["path"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--minutes", 3), "--minutes has no meaning alone"),
        (("--autotune-metric", "accuracy"), "--autotune-metric has no meaning alone"),
        (("--autotune", "--autotune-metric", "acuracy"), "no metric acuracy"),
        (("--autotune", "--autotune-metric", "f1:colour"), "no such label"),
        (("--autotune", "--continue-from", "x"), "--continue-from has its options"),
    ],
)
def test_what_cannot_be_searched(fresh: Run, options: tuple[Any, ...], reason: str) -> None:
    done = fresh("train-fasttext", TRAIN, "-o", "m", *options)
    assert done.code == 2 and reason in done.err and not done.out
    assert len(done.err.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_a_search_that_was_stopped_is_taken_up(
    fresh: Run, tmp_path: Path, number: signal.Signals
) -> None:
    command = [
        PROGRAM,
        "train-fasttext",
        str(TRAIN),
        "-o",
        "m",
        "--autotune",
        "--minutes",
        "50",
        *SOME,
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path / "store"),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "trial 1:" in line:
            break
    time.sleep(0.5)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == (143 if number == signal.SIGTERM else -9)
    done = fresh(
        "train-fasttext", TRAIN, "-o", "m", "--autotune", "--minutes", 50, "--resume", *SOME
    )
    assert done.code == 0 and "resuming a search after" in done.err
    assert not list((tmp_path / "store").rglob("*.state"))


def test_the_command_switches_a_search_off_that_was_not_typed(fresh: Run, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("train-fasttext:\n  autotune: true\n  minutes: 0\n")
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--config", config, "--json")
    command = json.loads(done.out)["autotune"]["command"]
    assert command.endswith("--no-autotune")


@pytest.mark.slow
def test_what_is_typed_belongs_to_the_record(fresh: Run) -> None:
    _search(fresh, "--minutes", 0, *FEW)
    again = _search(fresh, "--minutes", 0, "--if-changed", "--cost", 1, *FEW)
    assert "unchanged" not in again


def test_a_share_that_was_asked_for_is_set_apart(fresh: Run) -> None:
    options = ("--label-column", "labels", "--label-separator", ";", "--dim", 5, "--epochs", 2)
    done = fresh(
        "train-fasttext", SAMPLES / "tags_en.csv", "-o", "m", "--autotune", "--minutes", 0,
        "--json", "--dev-fraction", 0.4, *options,
    )  # fmt: skip
    report = json.loads(done.out)
    assert report["dev_rows"] == round(0.4 * (report["rows"] + report["dev_rows"]))


def test_what_does_not_work_without_a_search_is_said_as_without(fresh: Run) -> None:
    options = ("--model-size", "600", "-o", "m")
    plain = fresh("train-fasttext", TRAIN, *options)
    found = fresh("train-fasttext", TRAIN, *options, "--autotune", "--minutes", 0)
    assert found.code == plain.code == 2
    assert "bytes at least" in found.err
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--autotune", "--dry-run",
                 "--autotune-metric", "f1:colour")  # fmt: skip
    assert done.code == 2 and "no such label" in done.err
