"""finetune, and what predict, eval and models do with what it made."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nlpcli.commands.finetune_tasks import among_ranks
from nlpcli.errors import UsageError

from .conftest import PROGRAM, SAMPLES, Run, environment, run_program, stop_and_resume

TRAIN, TEST, NEW = (
    str(SAMPLES / f"{name}.csv") for name in ("reviews_en", "reviews_en_test", "new_messages")
)
TAGS = str(SAMPLES / "tags_en.csv")
PAIR = ["--text-column", "text_a", "--text-b-column", "text_b"]
QUICK = ["--epochs", "1", "--threads", "1", "--precision", "fp32"]
SEVERAL = ["--label-column", "labels", "--label-separator", ";"]


def pair_rows() -> str:
    """Two texts of one label or of two."""
    with open(TRAIN, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "text_a", "text_b", "label"])
    for i in range(60):
        a, b = rows[7 * i % len(rows)], rows[(11 * i + 1) % len(rows)]
        same = "same" if a["label"] == b["label"] else "different"
        writer.writerow([i, a["text"], b["text"], same])
    return out.getvalue()


@pytest.fixture(scope="module")
def tuned(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with ``one``, ``tags`` and ``pairs``; do not write."""
    store = tmp_path_factory.mktemp("tuned") / "store"
    pairs = store.parent / "pairs.csv"
    pairs.write_text(pair_rows(), encoding="utf-8")
    for name, *line in (
        ("one", TRAIN, "--lr", "1e-3", "--epochs", "2", "--pooling", "cls"),
        ("tags", TAGS, *SEVERAL, "--epochs", "1", "--pooling", "cls"),
        ("pairs", pairs, *PAIR, "--epochs", "1", "--max-length", "16", "--pooling", "cls"),
    ):
        done = run_program(
            store, "finetune", *line, "--from", encoder, "-o", name, "--precision", "fp32"
        )
        assert (done.code, done.out) == (0, f"{store}/{name}/1\n"), done.err
        assert f"--task {'pair, by --text-b' if name == 'pairs' else 'sequence, as'}" in done.err
    return store


@pytest.fixture
def program(tuned: Path) -> Run:
    return lambda *arguments, **more: run_program(tuned, *arguments, **more)


@pytest.fixture
def place(encoder: Path, tmp_path: Path) -> Run:
    """Over an empty store, beside the encoder."""
    shutil.copytree(encoder, tmp_path / "encoder")
    return lambda *arguments, **more: run_program(tmp_path / "store", *arguments, **more)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_every_row_is_answered_in_order(program: Run) -> None:
    rows = 'n,text\n1,the parcel is late\n2,\n3,the parcel is late\n4,  \n5,"a\nb, c"\n'
    done = program("predict", "-m", "one", stdin=rows)
    assert (done.code, done.err) == (0, "")
    found = table(done.out)
    assert [row["n"] for row in found] == ["1", "2", "3", "4", "5"]
    assert list(found[0]) == ["n", "text", "predicted_label", "predicted_probability"]
    assert found[4]["text"] == "a\nb, c"
    answers = [(row["predicted_label"], row["predicted_probability"]) for row in found]
    assert answers[0] == answers[2] and answers[1] == answers[3] and all(answers[1])


def test_columns_that_are_asked_for(program: Run) -> None:
    done = program("predict", "-m", "one", NEW, "--probabilities", "--top-k", 9, "--only")
    names = ["billing", "delivery", "quality", "support"]
    for row in table(done.out):
        each = {name: float(row[f"predicted_probability:{name}"]) for name in names}
        assert sum(each.values()) == pytest.approx(1, abs=3e-6)
        ranked = [row["predicted_label" + tail] for tail in ("", "_2", "_3", "_4")]
        assert [each[name] for name in ranked] == sorted(each.values(), reverse=True)
        assert "text" not in row and "predicted_label_5" not in row
    done = program("predict", "-m", "one", NEW, "--abstain-below", "1", "--prefix", "p_")
    assert {row["p_label"] for row in table(done.out)} == {""}
    done = program("predict", "-m", "one", NEW, "--output-format", "jsonl", "--only")
    assert json.loads(done.out.splitlines()[0]).keys() == {
        "predicted_label", "predicted_probability"
    }  # fmt: skip
    done = program("predict", "-m", "one", NEW, "--abstain-error", "0.99")
    assert done.code == 2 and "fewer than 30 held-out rows" in done.err


def test_however_rows_are_chunked(program: Run) -> None:
    for precision, bound in (("fp32", 2e-6), ("bf16", 1e-3)):
        line = ["predict", "-m", "one", TEST, "--precision", precision, "--only"]
        whole, alone = (table(program(*line, *more).out) for more in ([], ["--line-buffered"]))
        assert len(whole) == len(alone) == 80
        for first, second in zip(whole, alone, strict=True):
            assert first["predicted_label"] == second["predicted_label"]
            p, q = (float(row["predicted_probability"]) for row in (first, second))
            assert abs(p - q) <= bound


def test_several_labels(program: Run) -> None:
    done = program("predict", "-m", "tags", TAGS, "--threshold", 0, "--only")
    first = table(done.out)[0]
    names = first["predicted_labels"].split(";")
    values = list(map(float, first["predicted_probabilities"].split(";")))
    assert len(set(names)) == len(values) > 2 and values == sorted(values, reverse=True)
    none = table(program("predict", "-m", "tags", TAGS, "--threshold", 1, "--only").out)[0]
    assert none == {"predicted_labels": "", "predicted_probabilities": ""}
    shown = json.loads(program("models", "show", "tags", "--json").out)
    assert 0 <= shown["config"]["classifier"]["threshold"] <= 1
    done = program("eval", "-m", "tags", TAGS, "--label-column", "labels", "--json")
    assert json.loads(done.out)["n"] == 150 and "micro_f1" in json.loads(done.out)


def test_pairs(program: Run, tuned: Path) -> None:
    pairs = tuned.parent / "pairs.csv"
    done = program("predict", "-m", "pairs", pairs, *PAIR, "--explain", 1)
    cut = int(done.err.removeprefix("longer than 16 pieces and cut: ").partition(" of 60 rows")[0])
    assert done.code == 0 and 0 < cut <= 60
    assert {json.loads(row["predicted_explanation"])[0][2] for row in table(done.out)} == {"a", "b"}
    found = table(done.out)
    assert [row["id"] for row in found] == list(map(str, range(60)))
    assert "\x1e" not in done.out and found[0].keys() >= {"text_a", "text_b", "label"}
    swapped = ["--text-column", "text_b", "--text-b-column", "text_a", "--only"]
    other = table(program("predict", "-m", "pairs", pairs, *swapped).out)
    assert any(
        a["predicted_probability"] != b["predicted_probability"]
        for a, b in zip(found, other, strict=True)
    )
    document = json.loads(program("eval", "-m", "pairs", pairs, *PAIR, "--json").out)
    right = sum(row["label"] == row["predicted_label"] for row in found)
    assert document["accuracy"]["value"] == pytest.approx(right / 60)
    done = program("predict", "-m", "pairs", *PAIR, stdin="text_a,text_b\n,\nx,\n,x\n")
    assert done.code == 0 and len(table(done.out)) == 3


@pytest.mark.parametrize("command", ["predict", "eval"])
@pytest.mark.parametrize(
    ("model", "more", "code", "said"),
    [
        ("pairs", PAIR[:2], 2, "--text-b-column is missing: pairs answers pairs"),
        ("one", PAIR, 2, "--text-b-column text_b: one answers single texts"),
        ("pairs", [*PAIR[:3], "text_c"], 65, "no column text_c"),
        ("./encoder", [], 65, "an encoder, which gives vectors and no labels"),
    ],
)  # fmt: skip
def test_models_of_another_kind(
    program: Run, tuned: Path, encoder: Path, command: str, model: str, more: list[str],
    code: int, said: str,
) -> None:  # fmt: skip
    model = str(encoder) if model == "./encoder" else model
    done = program(command, "-m", model, tuned.parent / "pairs.csv", *more)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err


def test_what_only_encoders_heed(nlpcli: Run, program: Run) -> None:
    for command, file in (("predict", NEW), ("eval", TEST)):
        done = nlpcli(command, "-m", "reviews", file, "--precision", "fp32")
        assert (done.code, done.err) == (2, "error: --precision: reviews is no encoder\n")
        assert nlpcli(command, "-m", "reviews", file, NLPCLI_PRECISION="fp32").code == 0
        done = program(command, "-m", "one", file, "--device", "tpu")
        assert done.code == 2 and "--device tpu" in done.err


def test_a_row_on_a_slow_pipe_is_answered_within_a_second(tuned: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "predict", "-m", "one", "--only"], stdin=subprocess.PIPE, bufsize=0,
        stdout=subprocess.PIPE, env=environment(tuned), cwd=tuned.parent,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    with process:
        process.stdin.write(b"text\n")
        assert process.stdout.readline() == b"predicted_label,predicted_probability\n"
        for text in (b"late again\n", b"broken\n"):
            process.stdin.write(text)
            begun = time.monotonic()
            assert process.stdout.readline().count(b",") == 1
            assert time.monotonic() - begun < 1
        process.stdin.close()
    assert process.returncode == 0


def test_models(program: Run, tuned: Path, tmp_path: Path) -> None:
    shown = program("models", "show", "one").out
    assert "kind: bert-classifier\n" in shown and "labels: billing, delivery, quality" in shown
    assert program("models", "verify").out.count(": ok\n") == 3
    assert "pairs@1  bert-classifier       2       54" in program("models", "list").out
    done = program("models", "export", "one", tmp_path / "hf", "--to", "huggingface")
    assert (done.code, done.out) == (0, f"{tmp_path / 'hf'}\n"), done.err
    wanted = program("predict", "-m", "one", NEW, "--only").out
    plain = program("predict", "-m", f"{tmp_path}/hf", NEW, "--only")
    assert plain.code == 0
    # such a folder has no place for calibration
    for ours, theirs in zip(table(wanted), table(plain.out), strict=True):
        assert ours["predicted_label"] == theirs["predicted_label"]
    done = program("eval", "-m", f"{tmp_path}/hf", TEST, "--json")
    assert done.code == 0 and json.loads(done.out)["n"] == 80
    done = program("models", "import", f"{tmp_path}/hf", f"{tmp_path}/again")
    assert done.code == 0
    assert program("predict", "-m", f"{tmp_path}/again", NEW, "--only").out == plain.out
    (tmp_path / "hf" / "model.safetensors").write_bytes(b"")
    done = program("predict", "-m", f"{tmp_path}/hf", NEW)
    assert (done.code, done.out) == (65, "") and len(done.err.splitlines()) == 1


LINES = {
    "a dev row": ("text,label\na,x\nb,y\n", "text,label\na,x\nb,z\nc,zz\n"),
    "one label": ("text,label\na,x\nb,x\n", None),
    "blank texts": ("text,label\n,x\n ,y\n", None),
    "blank label": ("text,label\na,x\nb,\n", None),
    "two rows": ("text,label\na,x\nb,y\n", None),
    "no rows": ("text,label\n", None),
}


@pytest.mark.parametrize(
    ("rows", "options", "code", "said"),
    [
        ("a dev row", [], 65, "dev.csv line 3: labels that no training row has: z, zz\n"),
        ("one label", [], 65, "at least 2 labels are needed, seen: x\n"),
        ("blank texts", [], 65, "no rows with a text and a label"),
        ("blank label", [], 65, "line 3: the label is blank"),
        ("no rows", [], 65, "no rows with a text and a label"),
        ("two rows", ["--publish-if", "better"], 65, "--publish-if needs rows to measure on"),
        (None, ["--max-length", "33"], 2, "--max-length 33: ./encoder has 32 positions"),
        (None, ["--max-length", "3"], 2, "--max-length 3"),
        (None, ["--freeze", "some"], 2, "--freeze: 'some', not none"),
        (None, ["--freeze", "all", "--fgm", "0.5"], 2, "--fgm: 0.5"),
        (None, ["--freeze", "3"], 2, "--freeze 3: ./encoder has 2 layers"),
        (None, ["--freeze", "all", "--layer-decay", "0.9"], 2, "--layer-decay has no meaning with"),
        (None, ["--threshold", "0.3"], 2, "--threshold has no meaning without --label-separator"),
        (None, ["--label-separator", ""], 2, "--label-separator: wanted a character"),
        (None, ["--text-b-column", "txet"], 65, "no column txet; there: text, label"),
        (None, ["--from", "./none"], 66, "none: no such folder"),
        (None, ["--from", SAMPLES], 65, "sample_data"),
        (None, ["--class-weight", "none.csv"], 66, "none.csv"),
        (None, ["--patience", "1", "--dev-fraction", "0"], 2, "--patience needs rows"),
        (None, ["--publish-if", "mcc>0", "--dev-fraction", "0"], 2, "--publish-if needs rows"),
        (None, ["--patience", "1", "--dev-fraction", "0", "--label-separator", ";"], 2,
         "--patience needs rows"),
        (None, ["--device", "tpu"], 2, "--device tpu"),
    ],
)  # fmt: skip
def test_what_cannot_be(
    place: Run, tmp_path: Path, rows: str | None, options: list[Any], code: int, said: str
) -> None:
    train = TRAIN
    if rows is not None:
        train, dev = str(tmp_path / "train.csv"), LINES[rows][1]
        Path(train).write_text(LINES[rows][0], encoding="utf-8")
        if dev is not None:
            (tmp_path / "dev.csv").write_text(dev, encoding="utf-8")
            options = ["--dev", "dev.csv"]
    done = place("finetune", train, "--from", "./encoder", "-o", "m", *QUICK, *options)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err
    assert len([line for line in done.err.splitlines() if line.startswith("error:")]) == 1
    assert not (tmp_path / "store" / "m" / "1").exists()


class Evil:
    """Pickled, a command that is run when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def test_folders_of_strangers_are_refused_and_run_nothing(place: Run, tmp_path: Path) -> None:
    code = b"open('ran', 'w').close()\n"
    beside = {name: code for name in ("modeling_x.py", "__init__.py", "torch.py")}
    config = json.loads((tmp_path / "encoder" / "config.json").read_text())
    own = {"auto_map": {"AutoModel": "modeling_x.Model"}}
    tokenizer = {"auto_map": {"AutoTokenizer": ["modeling_x.Cutter", None]}}
    pickled = pickle.dumps(Evil())
    cases: list[tuple[dict[str, bytes | None], str]] = [
        ({"config.json": json.dumps(config | own).encode()}, "needs code of its own"),
        ({"tokenizer_config.json": json.dumps(tokenizer).encode()}, "needs code of its own"),
        ({"config.json": json.dumps(config | {"model_type": "t5"}).encode()}, "wanted bert"),
        ({"model.safetensors": None, "pytorch_model.bin": pickled}, "which is never loaded"),
        ({"model.safetensors": pickled}, "model.safetensors: a header of"),
        ({"tokenizer.json": None, "vocab.txt": None}, "no tokenizer.json and no vocab.txt"),
    ]
    for files, said in cases:
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        shutil.copytree(tmp_path / "encoder", tmp_path / "x")
        (tmp_path / "x" / "manifest.json").unlink(missing_ok=True)
        for name, data in {**beside, **files}.items():
            if data is None:
                (tmp_path / "x" / name).unlink(missing_ok=True)
            else:
                (tmp_path / "x" / name).write_bytes(data)
        for line in (["finetune", TRAIN, "--from", "./x", "-o", "m", *QUICK],
                     ["predict", "-m", "./x", NEW]):  # fmt: skip
            done = place(*line)
            assert (done.code, done.out) == (65, "") and said in done.err, done.err
            assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "ran").exists() and not (tmp_path / "store" / "m" / "1").exists()
    done = place("finetune", TRAIN, "--from", "some-one/bert-base", "-o", "m", *QUICK)
    assert done.code == 66 and "hint: nothing is fetched" in done.err


def test_rows_of_all_kinds(place: Run) -> None:
    rows = "text,labels,w\n" + "good,x;y,1\nbad,,2\n,x,1\nworse,y,0\nlong " * 4
    rows += "tail " * 60 + ",x,1\n"
    done = place(
        "finetune", "-", "--from", "./encoder", "-o", "m", *QUICK, "--label-column", "labels",
        "--label-separator", ";", "--weight-column", "w", "--dev-fraction", "0",
        "--threshold", "0", "--on-error", "skip", "--json", stdin=rows,
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out, parse_constant=pytest.fail)
    assert (report["labels"], report["dev_rows"], report["metrics"]) == (2, 0, {})
    assert "rows with a blank text, left out" in done.err and "and cut: 1 of" in done.err
    shown = json.loads(place("models", "show", "m", "--json").out)
    assert shown["config"]["classifier"]["threshold"] == 0


def test_a_part_that_is_too_small_to_hold_out(place: Run) -> None:
    line = ["finetune", "-", "--from", "./encoder", "-o", "m", *QUICK]
    done = place(*line, stdin="text,label\ngood,a\nbad,b\n")
    assert done.code == 0 and "warning: too few rows to hold some out: the last" in done.err
    done = place(*line, "--dev-fraction", "0", stdin="text,label\ngood,a\nbad,b\n")
    assert done.code == 0 and "warning" not in done.err  # as it was asked for


def test_an_encoder_without_a_pooler_and_one_of_one_segment(place: Run, tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    path = tmp_path / "hf"
    assert place("models", "export", "./encoder", path, "--to", "huggingface").code == 0
    tensors = load((path / "model.safetensors").read_bytes())
    config = json.loads((path / "config.json").read_text())
    kept = {name: array for name, array in tensors.items() if "pooler" not in name}
    config["architectures"] = ["BertForMaskedLM"]
    segments = "bert.embeddings.token_type_embeddings.weight"
    kept[segments] = kept[segments][:1].copy()
    config["type_vocab_size"] = 1
    (path / "model.safetensors").write_bytes(save(kept, metadata={"format": "pt"}))
    (path / "config.json").write_text(json.dumps(config))
    line = ["finetune", TRAIN, "--from", path, *QUICK]
    done = place(*line, "-o", "m")
    assert done.code == 0 and "has no pooler: it begins at random" in done.err, done.err
    done = place(*line, "-o", "n", "--text-b-column", "label")
    assert done.code == 2 and "knows one segment, wanted 2 for pairs" in done.err
    done = place("pretrain-bert", TRAIN, "--from", path, "-o", "n", "--next-sentence")
    assert done.code == 2 and "knows one segment, wanted 2 for pairs" in done.err


def test_nights(place: Run, tmp_path: Path) -> None:
    line = ["finetune", TRAIN, "--from", "./encoder", "-o", "m", *QUICK, "--json"]
    store = tmp_path / "store" / "m"
    done = place(*line, "--dry-run")
    plan = json.loads(done.out)
    assert done.code == 0 and not store.parent.exists()
    done = place(*line, "--publish-if", "accuracy>1")
    report = json.loads(done.out)
    assert done.code == 1 and report["published"] is False
    for name in ("rows", "dev_rows", "labels", "epochs", "steps", "device", "precision"):
        assert plan[name] == report[name], name
    assert "kept unpublished" in done.err
    assert place(*line, "--publish-if", "better").code == 0
    done = place(*line, "--publish-if", "better")
    assert done.code == 1 and "which the version in use reaches" in done.err
    assert place(*line).code == 0
    done = place(*line, "--if-changed")
    assert json.loads(done.out)["unchanged"] is True
    weights = [(store / n / "model.safetensors").read_bytes() for n in ("2", "4")]
    assert weights[0] == weights[1]
    done = place("finetune", TRAIN, *QUICK, "--from", "m", "-o", "m", "--keep", "2", "--seed", "2")
    assert done.code == 0, done.err
    assert not (store / "2").exists() and (store / "4").exists() and (store / "5").exists()


def test_a_frozen_encoder_reads_once(place: Run, tmp_path: Path) -> None:
    line = ["finetune", TRAIN, "--from", "./encoder", *QUICK[2:], "--freeze", "all", "--json"]
    done = place(*line, "-o", "m")
    report = json.loads(done.out)
    assert report["epochs"] == 30 and report["encoding_seconds"] > 0
    assert report["share_of_peak"] is None and report["train_seconds"] > 0
    assert {"path", "metrics", "seconds", "rows_per_second", "peak_memory_mb"} <= report.keys()
    assert "the encoder is frozen, its features are computed once" in done.err
    shown = json.loads(place("models", "show", "m", "--json").out)["config"]["run"]
    assert (shown["epochs"], shown["lr"], shown["fgm"], shown["ranks"]) == (30, 0.01, 0.0, 1)
    assert shown["pooling"] == "mean"
    plan = json.loads(place(*line, "-o", "n", "--epochs", "2", "--dry-run").out)
    assert (plan["epochs"], plan["lr"]) == (2, 0.01)
    moving = [part for part in line if part not in ("--freeze", "all")]
    assert json.loads(place(*moving, "-o", "n", "--dry-run").out)["lr"] == 1.2e-3  # 32 dimensions


def test_texts_are_read_as_suits_the_encoder(place: Run, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "encoder", tmp_path / "sentences")
    (tmp_path / "sentences" / "manifest.json").unlink()
    (tmp_path / "sentences" / "1_Pooling").mkdir()
    about = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (tmp_path / "sentences" / "1_Pooling" / "config.json").write_text(json.dumps(about))
    line = ["finetune", TRAIN, *QUICK[2:], "--dry-run", "--json", "-o", "n"]
    assert place("models", "import", "./sentences", "kept").code == 0
    for base in ("./sentences", "kept", "./encoder"):
        done = place(*line, "--from", base)
        assert done.code == 0 and "--pooling mean, as suits the encoder" in done.err
    for more in (["--pooling", "cls"], ["--freeze", "all"]):
        done = place(*line, "--from", "./sentences", *more)
        assert done.code == 0 and "suits the encoder" not in done.err


def start_ranks(place: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", port, "-m", "nlpcli", "finetune", *arguments]  # fmt: skip
    return subprocess.Popen(
        line, env=environment(place / "store"), cwd=place, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_ranks_learn_what_one_process_does_and_go_on_after_a_signal(
    place: Run, tmp_path: Path
) -> None:
    line = [TRAIN, "--from", "./encoder", "--threads", "1", "--epochs", "8", "--batch-size", "8",
            "--precision", "fp32", "--dropout", "0", "--json"]  # fmt: skip
    done = place("finetune", *line, "-o", "./alone")
    alone = json.loads(done.out)
    out, said = start_ranks(tmp_path, *line, "-o", "./whole").communicate(timeout=100)
    report = json.loads(out)  # one document: the other rank is silent
    assert report["ranks"] == 2 and report["steps"] == alone["steps"]
    wanted, found = (
        [float(loss) for loss in re.findall(r"^epoch \d+: loss ([\d.]+), dev", text, re.M)]
        for text in (done.err, said.decode())
    )
    assert len(wanted) == 8 and found == pytest.approx(wanted, abs=1e-3)
    run = start_ranks(tmp_path, *line, "-o", "./again", "--save-every", "0")
    states = tmp_path / ".again.state"
    while run.poll() is None and not list((tmp_path / ".again.state").glob("*.state")):
        time.sleep(0.02)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert run.returncode != 0 and list(states.glob("*.state"))
    out, _ = start_ranks(tmp_path, *line, "-o", "./again", "--resume").communicate(timeout=100)
    assert json.loads(out)["resumed_after_step"] > 0
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "again")]
    assert files[0] == files[1]


def test_ranks_read_files_on_the_cpu(tmp_path: Path) -> None:
    given = {"train": TRAIN, "dev": None, "class_weight": None, "device": "auto", "threads": 3}
    assert among_ranks(given, 2) == {**given, "device": "cpu", "threads": 3, "ranks": 2}
    assert among_ranks(given, 1) == {**given, "ranks": 1}
    with pytest.raises(UsageError, match="--device cuda: ranks train on the CPU"):
        among_ranks({**given, "device": "cuda"}, 2)
    for name, what in (("train", "TRAIN -"), ("dev", "--dev -")):
        with pytest.raises(UsageError, match=f"{what}: each rank reads it, wanted a file"):
            among_ranks({**given, name: "-"}, 2)


def test_a_version_in_use_that_does_not_classify(place: Run, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "encoder", tmp_path / "store" / "m" / "1")
    done = place("finetune", TRAIN, "--from", "m", "-o", "m", *QUICK, "--publish-if", "better")
    assert (done.code, done.out) == (0, f"{tmp_path / 'store'}/m/2\n"), done.err
    assert "--publish-if better:" in done.err


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(place: Run, tmp_path: Path) -> None:
    line = ["finetune", TRAIN, "--from", "./encoder", "--threads", "1", "--epochs", "30",
            "--patience", "29", "--batch-size", "8"]  # fmt: skip
    whole = place(*line, "-o", "./whole")
    assert whole.code == 0, whole.err
    stop_and_resume(place, [*line], tmp_path)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "again")]
    assert files[0] == files[1] and not list((tmp_path / ".again.state").glob("*.state"))
