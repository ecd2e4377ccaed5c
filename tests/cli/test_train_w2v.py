from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment, run_program

TEXT = str(SAMPLES / "reviews_en.csv")


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """Runs the program over an empty store."""
    store = tmp_path / "store"
    store.mkdir()
    return lambda *arguments, **more: run_program(store, *arguments, **more)


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


def test_words_never_seen_have_neighbours_with_subwords(place: Run, tmp_path: Path) -> None:
    done = place(
        "train-w2v", "-", "-o", "words", "--subwords", "--buckets", "5000", "--min-count", "2",
        "--threads", "2", "--json", stdin=Path(TEXT).read_bytes(),
    )  # fmt: skip
    report = json.loads(done.out)
    assert done.code == 0 and report["vocabulary"] > 100 and report["loss"] > 0
    asked = place("neighbors", "-m", "words", "refundability", "--json")
    assert asked.code == 0, asked.err
    manifest = json.loads((Path(report["path"]) / "manifest.json").read_bytes())
    assert manifest["kind"] == "word-vectors" and manifest["config"]["run"]["loss"] == "ns"


def test_counts_and_phrases(place: Run) -> None:
    done = place(
        "train-w2v", TEXT, TEXT, "-o", "counted", "--algorithm", "svd", "--dim", "8",
        "--phrases", "1", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["dim"] == 8 and report["loss"] is None


def test_a_plan_and_a_night_without_news(place: Run, tmp_path: Path) -> None:
    line = ["train-w2v", TEXT, "-o", "words", "--dim", "8", "--epochs", "1", "--if-changed"]
    done = place(*line, "--subwords", "--buckets", "1000", "--dry-run", "--json")
    plan = json.loads(done.out)
    assert plan["parameters"] == 8 * (2 * plan["vocabulary"] + 1000)
    assert (plan["epochs"], plan["memory_bytes"]) == (1, 4 * plan["parameters"])
    done = place(*line, "--dry-run", "--algorithm", "svd")
    assert done.code == 2 and "--epochs has no meaning" in done.err
    done = place("train-w2v", TEXT, "-o", "words", "--algorithm", "svd", "--dry-run")
    assert (done.code, done.out.splitlines()[0].split()) == (0, ["output", "words"])
    assert not list((tmp_path / "store").iterdir())
    first, second = (place(*line, "--json") for _ in range(2))
    assert "nothing to do" in second.err
    assert json.loads(second.out)["path"] == json.loads(first.out)["path"]
    assert json.loads(second.out)["unchanged"] is True
    assert place(*line, "--seed", "2").out == f"{tmp_path}/store/words/2\n"


def test_skipped_lines_are_kept_apart(place: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"one two\nbad \xff\n" + b"one two\n" * 9)
    done = place("train-w2v", "text", "-o", "./w", "--dim", "2", "--on-error", "skip",
                 "--rejects", "bad.csv")  # fmt: skip
    assert done.code == 0 and done.err.count("bad rows skipped") == 1
    assert "bad lines" not in done.err
    assert (tmp_path / "bad.csv").read_text().splitlines() == [
        "line,reason,row", "2,byte 5: invalid UTF-8 (0xff),bad ?",
    ]  # fmt: skip


def test_a_corpus_of_rare_words_only(place: Run) -> None:
    done = place("train-w2v", "-", "-o", "words", stdin="one two two\n")
    assert done.code == 65
    assert "no word occurs 5 times; 3 words, 2 different" in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--algorithm", "svd", "--lr", "1"], "--lr has no meaning with --algorithm svd"),
        (["--shift", "2"], "--shift has no meaning with --algorithm skipgram"),
        (["--loss", "hs", "--negatives", "3"], "--negatives has no meaning with --loss hs"),
        (["--min-n", "2"], "--min-n has no meaning with whole words"),
        (["--subwords", "--min-n", "4", "--max-n", "3"], "--min-n 4 is more than --max-n 3"),
    ],
)
def test_options_that_mean_nothing(place: Run, options: list[str], said: str) -> None:
    done = place("train-w2v", TEXT, "-o", "words", *options)
    assert done.code == 2 and said in done.err


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(place: Run, tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text(Path(TEXT).read_text() * 20)
    line = ["train-w2v", str(many), "--threads", "2", "--epochs", "40", "--sample", "0", "--seed",
            "5"]  # fmt: skip
    whole = place(*line, "-o", "./whole")
    assert whole.code == 0
    store = tmp_path / "store"
    for number in (signal.SIGTERM, signal.SIGKILL):
        run = subprocess.Popen(
            [PROGRAM, *line, "-o", "./again", "--force", "--resume", "--save-every", "0"],
            env=environment(store), cwd=tmp_path, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        states = tmp_path / ".again.state"
        before = set(states.glob("*.state"))
        while run.poll() is None and not set(states.glob("*.state")) - before:
            time.sleep(0.02)
        run.send_signal(number)
        assert run.wait() in (143, -9)
    done = place(*line, "-o", "./again", "--force", "--resume", "--json")
    assert json.loads(done.out)["resumed_after_step"] > 0
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")
    assert not list(states.glob("*.state"))


RANKS = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]


def start_ranks(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    line = [*RANKS, port, "-m", "nlpcli", "train-w2v", *arguments]
    return subprocess.Popen(
        line, env=environment(tmp_path / "store"), cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_ranks_publish_once_and_go_on_after_a_signal(tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text(Path(TEXT).read_text() * 100)
    line = [str(many), "--threads", "1", "--epochs", "8", "--sample", "0", "--subwords",
            "--buckets", "5000", "--json"]  # fmt: skip
    out, _ = start_ranks(tmp_path, *line, "-o", "./whole").communicate(timeout=100)
    report = json.loads(out)  # one document: the other rank is silent
    assert report["ranks"] == 2 and report["epochs"] == 8
    run = start_ranks(tmp_path, *line, "-o", "./again", "--save-every", "0")
    states = tmp_path / ".again.state"
    while run.poll() is None and not list(states.glob("*.state")):
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert run.returncode != 0 and list(states.glob("*.state"))
    assert not (tmp_path / "again").exists()
    out, _ = start_ranks(tmp_path, *line, "-o", "./again", "--resume").communicate(timeout=100)
    assert json.loads(out)["resumed_after_step"] > 0
    assert weights(tmp_path / "again") == weights(tmp_path / "whole")
    assert not list(states.glob("*.state"))


def test_ranks_refuse_what_one_process_does(place: Run) -> None:
    around = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    done = place("train-w2v", TEXT, "-o", "words", "--algorithm", "svd", **around)
    assert done.code == 2 and "svd runs in one process, not under torchrun" in done.err
