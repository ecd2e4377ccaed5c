import csv
import gzip
import io
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Done, Run, environment

NEW = SAMPLES / "new_messages.csv"


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["predict", "-m", "reviews", "--threshold", 0], "--threshold: reviews gives one label"),
        (["predict", "-m", "tags", "--threshold", 2], "--threshold 2: tags gives probabilities"),
        (["eval", "-m", "tags", "-", "--threshold", -1], "--threshold -1: tags gives"),
        (["predict", "-m", "reviews", "--drift-level", 0.1], "--drift-level: wanted with --drift"),
        (["eval", "-m", "reviews", "-", "--threshold", 0.5], "--threshold: reviews gives one"),
        (["eval", "-m", "reviews", "-", "--label-separator", ";"], "--label-separator: reviews gi"),
        (["eval", "-m", "reviews", "-", "--slice-rows", 5], "--slice-rows 5: only with --slices"),
        (["eval", "--predictions", "-", "--threshold", 0], "--threshold has no meaning for --pre"),
    ],
)
def test_options_without_a_meaning_are_refused(nlpcli: Run, line: list[object], said: str) -> None:
    done = nlpcli(*line, stdin="text,label,predicted_label\na,b,b\n")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"error: {said}")


def test_every_row_is_answered_in_order_with_its_columns_unchanged(nlpcli: Run) -> None:
    done = nlpcli("predict", "-m", "reviews", NEW)
    assert (done.code, done.err) == (0, "")
    given = rows(NEW.read_text(encoding="utf-8"))
    got = rows(done.out)
    assert got[0] == [*given[0], "predicted_label", "predicted_probability"]
    assert [row[:-2] for row in got[1:]] == given[1:]
    assert all(0 < float(row[-1]) <= 1 for row in got[1:])


def test_file_dash_stdin_and_packed_are_the_same_bytes(nlpcli: Run, tmp_path: Path) -> None:
    data = NEW.read_bytes()
    wanted = nlpcli("predict", "-m", "reviews", NEW).out
    assert nlpcli("predict", "-m", "reviews", "-", stdin=data).out == wanted
    assert nlpcli("predict", "-m", "reviews", stdin=data).out == wanted
    assert nlpcli("predict", "-m", "reviews", stdin=gzip.compress(data)).out == wanted
    target = tmp_path / "out.csv"
    assert nlpcli("predict", "-m", "reviews@1", NEW, "-o", target).out == ""
    assert target.read_text(encoding="utf-8") == wanted
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_text_is_answered_alike_in_any_company(nlpcli: Run) -> None:
    texts = [row[1] for row in rows(NEW.read_text(encoding="utf-8"))[1:]] * 400
    out = io.StringIO()
    csv.writer(out).writerows([["text"], *([t] for t in texts)])
    got = rows(nlpcli("predict", "-m", "reviews", "--probabilities", stdin=out.getvalue()).out)
    assert got[1:13] * 400 == got[1:]
    alone = io.StringIO()
    csv.writer(alone).writerows([["text"], [texts[3]]])
    one = rows(nlpcli("predict", "-m", "reviews", "--probabilities", stdin=alone.getvalue()).out)
    assert one[1] == got[4]


def test_columns_of_answers(nlpcli: Run) -> None:
    data = "text\nrefund my card\n\n"
    top = rows(nlpcli("predict", "-m", "reviews", "--top-k", 2, "--only", stdin=data).out)
    assert top[0] == [
        "predicted_label",
        "predicted_probability",
        "predicted_label_2",
        "predicted_probability_2",
    ]
    assert len(top) == 3
    assert float(top[1][1]) >= float(top[1][3])
    every = rows(
        nlpcli("predict", "-m", "reviews", "--probabilities", "--prefix", "p_", stdin=data).out
    )
    assert every[0][3:] == [
        f"p_probability:{x}" for x in ("billing", "delivery", "quality", "support")
    ]
    assert sum(map(float, every[1][3:])) == pytest.approx(1, abs=1e-5)
    unsure = rows(nlpcli("predict", "-m", "reviews", "--abstain-below", 0.999, stdin=data).out)
    assert unsure[2][1] == ""
    lines = nlpcli(
        "predict", "-m", "reviews", "--output-format", "jsonl", stdin=data
    ).out.splitlines()
    assert isinstance(json.loads(lines[0])["predicted_probability"], float)


def test_multi_label(nlpcli: Run) -> None:
    got = rows(nlpcli("predict", "-m", "tags", SAMPLES / "tags_en.csv").out)
    assert got[0] == ["text", "labels", "predicted_labels", "predicted_probabilities"]
    sizes = {len(row[2].split(";")) if row[2] else 0 for row in got[1:]}
    assert {0, 1} <= sizes
    all_of_them = rows(nlpcli("predict", "-m", "tags", "--threshold", 0, stdin="text\nhi\n").out)
    assert len(all_of_them[1][1].split(";")) == 6
    for k in (1, 2):
        some = nlpcli("predict", "-m", "tags", "--threshold", 0, "--top-k", k, stdin="text\nhi\n")
        assert rows(some.out)[1][1].split(";") == all_of_them[1][1].split(";")[:k]


def test_json_lines_keep_their_values(nlpcli: Run) -> None:
    line = ["predict", "-m", "reviews", "--format", "jsonl", "--output-format", "jsonl"]
    row = '{"text": "a", "id": 5, "x": -1.10, "ok": true, "n": null, "tags": ["a", 1], "s": "5"'
    done = nlpcli(*line, "--spreadsheet-safe", stdin=row + '}\n{"text": 7, "x": 1e400}\n')
    first, second = done.out.splitlines()
    assert done.code == 0 and first.startswith(row + ', "predicted_label": "')
    assert second.startswith('{"text": 7, "id": null, "x": 1e400, "ok": null, "n": null, ')
    done = nlpcli(*line, "--on-error", "skip", stdin=f"no\n{row}}}\n")
    assert (done.code, done.err) == (0, "warning: 1 bad rows skipped\n")
    assert done.out.splitlines() == [first]
    assert nlpcli(*line, stdin="\n") == Done(0, "", "")
    done = nlpcli(*line, "--output-format", "csv", stdin="")
    assert done.code == 65 and "<stdin>: empty" in done.err


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (["-m", "reviews"], "txet\na\n", 65, "no column text; there: txet"),
        (["-m", "reviews"], "text,b\na\n", 65, "<stdin> line 2: 1 fields, the header has 2"),
        (["-m", "reviews"], b"text\n\xff\n", 65, "<stdin> line 2 byte 1: invalid UTF-8 (0xff)"),
        (["-m", "reviews"], "", 65, "<stdin>: empty"),
        (["-m", "reviews"], "text,predicted_label\na,b\n", 65, "column predicted_label already"),
        (["-m", "reveiws"], "text\na\n", 66, "no such model"),
        (["-m", "reviews@9"], "text\na\n", 66, "no such version"),
        (["-m", "reviews", "nothing.csv"], "", 66, "nothing.csv: No such file"),
        (["-m", "reviews", "-o", "no/such/x"], "text\na\n", 73, "no/such/x"),
        (["-m", "reviews", "--top-k", "0"], "text\na\n", 2, "--top-k"),
        (["-m", "reviews", "--topk", "2"], "text\na\n", 2, "--topk"),
        ([], "text\na\n", 2, "--model"),
    ],
)  # fmt: skip
def test_errors(nlpcli: Run, arguments: list[str], stdin: bytes, code: int, message: str) -> None:
    done = nlpcli("predict", *arguments, stdin=stdin)
    assert done.code == code, done.err
    assert done.err.startswith("error: ")
    assert message in done.err
    assert len(done.err.splitlines()) <= 2


def test_header_only_gives_a_header_only(nlpcli: Run) -> None:
    done = nlpcli("predict", "-m", "reviews", stdin="text\n")
    assert (done.code, done.out) == (0, "text,predicted_label,predicted_probability\n")


def test_a_failed_run_leaves_the_old_output(nlpcli: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("yesterday")
    assert nlpcli("predict", "-m", "reviews", "-o", target, stdin="text,b\na,1\nbad\n").code == 65
    assert target.read_text() == "yesterday"
    assert os.listdir(tmp_path) == ["out.csv"]
    same = tmp_path / "same.csv"
    same.write_text("text\na\n")
    assert nlpcli("predict", "-m", "reviews", same, "-o", same).code == 2
    assert same.read_text() == "text\na\n"


def test_skipped_rows_are_counted_and_kept(nlpcli: Run, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    data = b"text,b\na,1\nbad\nc,3\n"
    done = nlpcli(
        "predict", "-m", "reviews", "--on-error", "skip", "--rejects", rejects, stdin=data
    )
    assert done.code == 0
    assert [row[0] for row in rows(done.out)] == ["text", "a", "c"]
    assert done.err == "warning: 1 bad rows skipped\n"
    assert rejects.read_text() == 'line,reason,row\n3,"1 fields, the header has 2",bad\n'


def test_a_closed_reader_ends_it_quietly(models: Path) -> None:
    command = (
        f"yes hello | {PROGRAM} predict -m reviews --no-header --text-column 1 "
        "| head -n 3 >/dev/null; echo ${PIPESTATUS[1]}"
    )
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, env=environment(models), timeout=60
    )
    assert (done.stdout, done.stderr) == (b"141\n", b"")


def test_a_full_disk_is_never_success(models: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = f"{PROGRAM} predict -m reviews {NEW} > /dev/full"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, env=environment(models), timeout=60
    )
    assert done.returncode == 74
    assert b"No space left" in done.stderr


def test_a_slow_pipe_is_answered_row_by_row(models: Path) -> None:
    process = subprocess.Popen(
        [PROGRAM, "predict", "-m", "reviews"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=environment(models), bufsize=0,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    process.stdin.write(b"text\n")
    assert process.stdout.readline().startswith(b"text,predicted_label")
    for i in range(3):
        begun = time.monotonic()
        process.stdin.write(f"refund {i}\n".encode())
        assert process.stdout.readline().startswith(f"refund {i},".encode())
        assert time.monotonic() - begun < 1
    process.stdin.close()
    assert process.wait(10) == 0
    watchdog.cancel()
    process.stdout.close()


def test_no_torch_for_help_version_and_predict(models: Path) -> None:
    code = (
        "import sys, os\n"
        "def leave(code):\n"
        "    print('torch' in sys.modules, 'scipy' in sys.modules, file=sys.stderr)\n"
        "    sys.exit(code)\n"
        "os._exit = leave\n"
        "from nlpcli.__main__ import main\n"
        "sys.argv = ['nlpcli', *sys.argv[1:]]\n"
        "main()\n"
    )
    python = str(Path(PROGRAM).parent / "python")
    for arguments in (
        ["--help"],
        ["--version"],
        ["train-fasttext", "--help"],
        ["predict", "-m", "reviews", str(NEW)],
    ):
        done = subprocess.run(
            [python, "-c", code, *arguments],
            capture_output=True,
            text=True,
            env=environment(models),
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == "False False", arguments


def test_a_damaged_model_is_refused_in_one_line(nlpcli: Run, models: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(models / "reviews" / "1", copy)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    done = nlpcli("predict", "-m", copy, stdin="text\na\n")
    assert (done.code, done.out) == (65, "")
    assert "SHA-256 mismatch" in done.err
    weights.write_bytes(data[:-7])
    assert "truncated" in nlpcli("predict", "-m", copy, stdin="text\na\n").err


def test_explanations_add_up_to_the_logit(nlpcli: Run, models: Path) -> None:
    from nlpcli.models.additive import bag_lengths
    from nlpcli.store.classifier import read_classifier
    from nlpcli.store.store import Store

    text = "refund my card please"
    done = nlpcli(
        "predict", "-m", "reviews", "--explain", 1000, stdin=f"text\n{text}\n\n"
    )  # fmt: skip
    table = rows(done.out)
    assert table[0] == ["text", "predicted_label", "predicted_probability", "predicted_explanation"]
    reasons = json.loads(table[1][3])
    assert "refund" in [name for name, _ in reasons]
    sizes = [abs(amount) for _, amount in reasons]
    assert sizes == sorted(sizes, reverse=True)
    classifier = read_classifier(Store(models).open("reviews")[0])
    label = classifier.labels.index(table[1][1])
    scorer, bags = classifier.scorer, classifier.tokenizer.bags([text])
    logit = scorer.logits(bags.indptr, bags.ids, bags.weights)[0, label]
    length = bag_lengths(bags.indptr, bags.weights)[0]
    bias = length * scorer.bias[label] + (1 - length) * scorer.bias.mean()
    total = sum(amount for _, amount in reasons) + scorer.scale * bias
    assert total == pytest.approx(scorer.scale * logit, abs=1e-3)
    assert json.loads(table[2][3]) == []
    few = rows(nlpcli("predict", "-m", "reviews", "--explain", 2, stdin=f"text\n{text}\n").out)
    assert json.loads(few[1][3]) == reasons[:2]


def test_abstaining_for_a_stated_error(fresh: Run, tmp_path: Path) -> None:
    train = SAMPLES / "reviews_en.csv"
    assert fresh("train-fasttext", train, "-o", "m", "-q", "--dev-fraction", 0.4).code == 0
    config = json.loads((tmp_path / "store" / "m" / "1" / "manifest.json").read_bytes())["config"]
    curve = config["abstention"]
    assert curve[-1][1] == 1
    error = curve[len(curve) // 2][2]
    done = fresh("predict", "-m", "m", "--abstain-error", error, train)
    below = max((p for p in curve if p[2] <= error), key=lambda p: p[1])[0]
    assert done.code == 0 and f"a probability of {below:g} on" in done.err
    assert f": of {config['abstention_rows']} held-out rows " in done.err
    assert " of them wrong (on others up to " in done.err
    given = fresh("predict", "-m", "m", "--abstain-below", below, train)
    assert given.out == done.out
    least = min(p[2] for p in curve)
    if least > 0:
        done = fresh("predict", "-m", "m", "--abstain-error", least / 2, train)
        assert done.code == 2 and "the least on held-out rows" in done.err and not done.out
    options = ("--loss", "softmax", "-q")
    assert fresh("train-fasttext", train, "-o", "s", *options).code == 0
    done = fresh("predict", "-m", "s", "--abstain-error", 0.1, train)
    assert done.code == 2 and "kept no curve" in done.err and "--dev-fraction" in done.err


def test_abstaining_is_not_for_several_labels(nlpcli: Run) -> None:
    done = nlpcli("predict", "-m", "tags", "--abstain-error", 0.1, stdin="text\nx\n")
    assert done.code == 2 and "any number of labels" in done.err
