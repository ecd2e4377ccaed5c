from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment, run_program

TEXT = str(SAMPLES / "reviews_en.csv")
SMALL = ["--layers", "1", "--dim", "32", "--heads", "2", "--max-length", "16", "--batch-size", "4"]


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """Runs the program over an empty store."""
    store = tmp_path / "store"
    store.mkdir()
    return lambda *arguments, **more: run_program(store, *arguments, **more)


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


def pooling(path: Path) -> str | None:
    about = json.loads((path / "manifest.json").read_text())["config"]["encoder"]
    found: str | None = about.get("pooling")
    return found


def test_pairs_spans_and_chinese_from_stdin(place: Run, tmp_path: Path) -> None:
    text = "我们今天去公园。\n天气很好,孩子们很高兴。\n\n" * 120
    done = place(
        "pretrain-bert", "-", "-o", "./zh", *SMALL, "--mask", "spans", "--next-sentence",
        "--steps", "3", "--precision", "fp32", "--log", str(tmp_path / "run.jsonl"), "--json",
        stdin=text,
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["tokens"] == 3 * 4 * 16 and report["precision"] == "float32"
    names = {f"{what}_{kind}" for what in ("mlm", "nsp", "sbo") for kind in ("loss", "accuracy")}
    assert report["metrics"].keys() == names | {"pseudo_perplexity"}
    folder = tmp_path / "zh"
    assert (folder / "span_boundary.safetensors").exists()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3] and "held_out" in lines[-1]
    assert (tmp_path / "run.jsonl").read_text() == (folder / "log.jsonl").read_text()
    again = place("pretrain-bert", TEXT, "-o", "more", "--from", "./zh", "--steps", "1",
                  "--batch-size", "4", "--json")  # fmt: skip
    assert again.code == 0 and "of the pieces are unknown" in again.err, again.err
    assert json.loads(again.out)["tokens"] == 4 * 16  # as many positions as it has
    config = json.loads((tmp_path / "store/more/1/manifest.json").read_text())["config"]
    assert config["run"]["max_length"] == 16 and "hidden" not in config["run"]
    assert pooling(folder) is None and pooling(tmp_path / "store/more/1") is None  # one was taught
    assert weights(tmp_path / "store" / "more" / "1") != weights(folder)
    assert (tmp_path / "store" / "more" / "1" / "tokenizer.json").read_bytes() == (
        folder / "tokenizer.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (
            ["--dim", "30", "--heads", "4"],
            2,
            "--dim 30 is not divisible by 4 heads\nhint: --heads 3",
        ),
        (["--steps", "3", "--epochs", "2"], 2, "--steps and --epochs: wanted one of them"),
        (["--span-boundary"], 2, "--span-boundary has no meaning with --mask pieces"),
        (["--vocab-size", "50000"], 65, "--vocab-size 50,000: the text gives 9"),
        (["--masked-share", "0.9", "--replaced-share", "0.3"], 2, "shares of at most 1"),
        (["--batch-size", "5000"], 65, "the corpus is too small: 3"),
        (["--max-length", "8000"], 65, "the corpus is too small: 4,4"),
        (["--tokenizer", "missing.json"], 66, "missing.json: No such file"),
        (["--tokenizer", TEXT], 65, "reviews_en.csv"),
        (["--from", "./none"], 2, "--size has no meaning with --from ./none"),
        (["--precision", "fp16"], 2, "--precision"),
        (["--log", TEXT], 2, "the same file as CORPUS"),
        (["--log", "no/run.jsonl"], 73, "--log no/run.jsonl: no is no folder"),
        (["--dim", "60000", "--heads", "1", "--layers", "40"], 69, "parameters need about"),
    ],
)
def test_what_cannot_be(place: Run, options: list[str], code: int, said: str) -> None:
    done = place("pretrain-bert", TEXT, "-o", "./out", "--size", "tiny", "--max-length", "16",
                 *options)  # fmt: skip
    assert done.code == code and said in done.err, done.err
    assert len([line for line in done.err.splitlines() if line.startswith("error:")]) == 1
    assert not done.out


def test_the_plan_is_what_happens(place: Run, tmp_path: Path) -> None:
    line = ["pretrain-bert", TEXT, "-o", "enc", *SMALL, "--epochs", "1", "--next-sentence",
            "--batch-size", "64", "--json"]  # fmt: skip
    done = place(*line, "--dry-run")
    assert done.code == 0, done.err
    plan = json.loads(done.out)
    assert not list((tmp_path / "store").iterdir())
    done = place(*line, "--if-changed")
    report = json.loads(done.out)
    for name in ("steps", "parameters", "pieces", "vocabulary", "precision", "device"):
        assert plan[name] == report[name], name
    done = place(*line, "--if-changed")
    again = json.loads(done.out)
    assert again["unchanged"] is True and again["path"] == report["path"]
    assert again["metrics"] == report["metrics"] and "nothing to do" in done.err
    done = place("pretrain-bert", TEXT, "-o", "enc", *SMALL, "--minutes", "1", "--dry-run")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["minutes", "1.0"] in lines and "steps" not in [
        line[0] for line in lines if len(line) == 2
    ]
    assert [path.name for path in (tmp_path / "store" / "enc").iterdir()] == ["1"]


def test_a_tokenizer_says_itself_whether_it_lowercases(place: Run, encoder: Path) -> None:
    line = ["pretrain-bert", TEXT, "-o", "enc", "--tokenizer", encoder / "tokenizer.json"]
    done = place(*line, "--keep-case", "--dry-run")
    assert done.code == 2 and "tokenizer.json says itself that it lowercases" in done.err


def test_skipped_lines_are_kept_apart(place: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(Path(TEXT).read_bytes() + b"bad \xff\n")
    done = place("pretrain-bert", "text", "-o", "./e", *SMALL, "--steps", "1", "--on-error",
                 "skip", "--rejects", "bad.csv")  # fmt: skip
    assert done.code == 0 and "1 bad rows skipped" in done.err
    assert (tmp_path / "bad.csv").read_text().endswith(",byte 5: invalid UTF-8 (0xff),bad ?\n")
    assert pooling(tmp_path / "e") == "mean"  # nothing taught a pooler


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"", "<stdin>: no text"), (b"\n \n\n", "<stdin>: no text"), (b"good\nb\xffd\n", "line 2")],
)
def test_a_corpus_of_nothing(place: Run, text: bytes, said: str) -> None:
    done = place("pretrain-bert", "-", "-o", "./out", "--size", "tiny", stdin=text)
    assert done.code == 65 and said in done.err, done.err


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    place: Run, tmp_path: Path, optimizer: str
) -> None:
    line = ["pretrain-bert", TEXT, "--threads", "2", *SMALL, "--steps", "400", "--seed", "5",
            "--optimizer", optimizer, "--dropout", "0.1"]  # fmt: skip
    whole = place(*line, "-o", "./whole")
    assert whole.code == 0, whole.err
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


@pytest.mark.parametrize("kilobytes", [4, 64])
def test_a_full_disk_leaves_earlier_versions_alone(
    place: Run, tmp_path: Path, kilobytes: int
) -> None:
    line = ["pretrain-bert", TEXT, "-o", "enc", *SMALL, "--steps", "2"]
    assert place(*line).code == 0
    first = weights(tmp_path / "store" / "enc" / "1")
    # the pieces of the text are larger than the first limit, the weights than the second
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f {kilobytes}; exec {PROGRAM} {' '.join(line)} --seed 2"],
        env=environment(tmp_path / "store"), cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 74, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ") and not done.stdout
    assert weights(tmp_path / "store" / "enc" / "1") == first
    assert [p.name for p in (tmp_path / "store" / "enc").iterdir() if p.name[0] != "."] == ["1"]
    assert not list((tmp_path / "store" / "enc").glob(".tmp-*"))


@pytest.mark.slow
def test_another_encoder_of_the_same_shape_is_another_run(place: Run, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        made = place("pretrain-bert", TEXT, "-o", f"./base{seed}", *SMALL, "--steps", "1",
                     "--seed", seed)  # fmt: skip
        assert made.code == 0, made.err
    config = tmp_path / "base2" / "config.json"
    (tmp_path / "base2" / "manifest.json").unlink()
    config.write_text(config.read_text().replace('"hidden_dropout_prob": 0.1',
                                                 '"hidden_dropout_prob": 0.25'))  # fmt: skip
    line = ["pretrain-bert", TEXT, "-o", "enc", "--steps", "1", "--batch-size", "4",
            "--max-length", "16", "--if-changed", "--from"]  # fmt: skip
    assert place(*line, "./base1").code == 0
    assert "nothing to do" in place(*line, "./base1").err
    other = place(*line, "./base2")
    assert other.code == 0 and "nothing to do" not in other.err
    saved = json.loads((tmp_path / "store" / "enc" / "2" / "config.json").read_text())
    assert saved["hidden_dropout_prob"] == 0.25
