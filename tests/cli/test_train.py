import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import PROGRAM, SAMPLES, Run, environment

TRAIN = SAMPLES / "reviews_en.csv"
SLOW_LOSSES = [pytest.param(name, marks=pytest.mark.slow) for name in ("ns", "adaptive")]


def test_training_prints_the_path_alone_and_the_same_seed_gives_the_same_bytes(
    fresh: Run, cold: Run, tmp_path: Path
) -> None:
    for _ in range(2):  # Python hashes strings differently in each
        assert cold("train-fasttext", TRAIN, "-o", "m", "-q").code == 0
    store = tmp_path / "store" / "m"
    one, two = ((store / v / "model.safetensors").read_bytes() for v in "12")
    assert one == two
    fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--seed", 2)
    assert (store / "3" / "model.safetensors").read_bytes() != one


def test_the_json_summary_and_the_manifest(fresh: Run, tmp_path: Path) -> None:
    done = fresh(
        "train-fasttext", TRAIN, "-o", "m", "--json", "--dev-fraction", 0.2, "--patience", 2
    )
    report = json.loads(done.out)
    assert report["labels"] == 4
    assert report["rows"] + report["dev_rows"] == 260
    assert 0.5 < report["metrics"]["accuracy"] <= 1
    manifest = json.loads((Path(report["path"]) / "manifest.json").read_bytes())
    assert manifest["labels"] == ["billing", "delivery", "quality", "support"]
    assert manifest["metrics"] == report["metrics"]
    assert manifest["seed"] == 1
    assert len(manifest["data"]["sha256"]) == 64
    assert "dev part" in done.err


def test_a_file_sorted_by_label_trains_as_well(fresh: Run, tmp_path: Path) -> None:
    import csv

    with TRAIN.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    path = tmp_path / "sorted.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(
            [header, *sorted(rows, key=lambda r: r[header.index("label")])]
        )
    fresh("train-fasttext", path, "-o", "m", "-q")
    done = fresh("eval", "-m", "m", SAMPLES / "reviews_en_test.csv", "--json")
    assert json.loads(done.out)["accuracy"]["value"] > 0.8


@pytest.mark.parametrize(
    "options",
    [
        ["--min-n", "2", "--max-n", "4", "--word-ngrams", "1"],
        ["--dim", "16", "--epochs", "10"],
        ["--buckets", "500"],
        ["--class-weight", "balanced", "--strip-punctuation", "--strip-urls", "--keep-case"],
        ["--dev", str(SAMPLES / "reviews_en_test.csv")],
    ],
)
def test_options_train_and_predict(fresh: Run, options: list[str]) -> None:
    done = fresh("train-fasttext", TRAIN, "-o", "m", *options)
    assert done.code == 0, done.err
    done = fresh("predict", "-m", "m", "--only", stdin="text\nplease refund the double charge\n")
    assert done.out.splitlines()[1].startswith("billing,")


def test_class_and_row_weights(fresh: Run, tmp_path: Path) -> None:
    weights = tmp_path / "weights.csv"
    weights.write_text("label,weight\nbilling,0\n")
    fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--class-weight", weights)
    done = fresh("predict", "-m", "m", "--only", stdin="text\nrefund the double charge\n")
    assert not done.out.splitlines()[1].startswith("billing")
    weights.write_text("label,weight\nbiling,2\n")
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--class-weight", weights)
    assert done.code == 65
    assert "did you mean billing?" in done.err
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label,w\ngood,a,1\nbad,b,1\ngood,b,0\n")
    assert fresh("train-fasttext", rows, "-o", "w", "-q", "--weight-column", "w").code == 0
    assert (
        fresh("predict", "-m", "w", stdin="text\ngood\n").out.splitlines()[1].startswith("good,a")
    )


@pytest.mark.parametrize(
    ("data", "options", "code", "message"),
    [
        ("text,label\na,x\nb,x\n", [], 65, "at least 2 labels are needed, seen: x"),
        ("text,label\na,x\nb\n", [], 65, "line 3: 1 fields"),
        ("text,label\na,x\nb,\n", [], 65, "line 3: the label is blank"),
        ("text,label\n", [], 65, "no rows"),
        ("text,class\na,x\n", [], 65, "no column label; there: text, class"),
        ("text,label\na,x\nb,y\n", ["--min-count", "5"], 65, "no word occurs 5 times"),
        ("text,label\na,x\nb,y\n", ["--min-n", "4", "--max-n", "2"], 2, "--min-n 4 is more than"),
        ("text,label\na,x\nb,y\n", ["--patience", "3"], 2, "--patience needs rows"),
        ("text,label\na,x\nb,y\n", ["--epochs", "0"], 2, "--epochs"),
        ("text,label\na,x\nb,y\n", ["--device", "tpu"], 2, "tpu"),
        ("text,label\na,x\nb,y\n", ["--device", "cuda:77"], 69, "no such GPU"),
    ],
)  # fmt: skip
def test_errors_publish_nothing(
    fresh: Run, tmp_path: Path, data: str, options: list[str], code: int, message: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(data)
    done = fresh("train-fasttext", path, "-o", "m", *options)
    assert done.code == code, done.err
    assert message in done.err
    assert not (tmp_path / "store" / "m").exists()


def test_outputs_are_checked_before_any_work(fresh: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    done = fresh("train-fasttext", "nothing.csv", "-o", tmp_path / "model")
    assert done.code == 73
    assert "--force" in done.err
    assert fresh("train-fasttext", TRAIN, "-o", "a b").code == 2
    done = fresh("train-fasttext", "-", "-o", "a", "--dev", "-", stdin="text,label\na,x\n")
    assert (done.code, done.err) == (2, "error: --dev -: TRAIN is stdin as well\n")
    assert fresh("train-fasttext", TRAIN, "-o", "m@3").code == 2


def test_a_second_run_into_one_name_is_busy(tmp_path: Path, fresh: Run) -> None:
    store = tmp_path / "store"
    first = subprocess.Popen(
        [PROGRAM, "train-fasttext", "-", "-o", "m"], stdin=subprocess.PIPE, env=environment(store),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not list(store.glob("m/.tmp-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    done = fresh("train-fasttext", TRAIN, "-o", "m")
    assert done.code == 75
    assert f"process {first.pid}" in done.err
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 143
    assert first.stdin is not None
    first.stdin.close()
    assert not list(store.glob("m/.tmp-*"))
    assert fresh("train-fasttext", TRAIN, "-o", "m", "-q").code == 0


def test_sigkill_leaves_the_published_version(tmp_path: Path, fresh: Run) -> None:
    fresh("train-fasttext", TRAIN, "-o", "m", "-q")
    wanted = fresh("predict", "-m", "m@1", SAMPLES / "new_messages.csv").out
    for wait in (0.3, 0.7, 0.9, 1.1):
        process = subprocess.Popen(
            [PROGRAM, "train-fasttext", str(TRAIN), "-o", "m", "-q"],
            env=environment(tmp_path / "store"), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(wait)
        process.kill()
        process.wait()
        assert fresh("models", "verify", "m@1").code == 0
        assert fresh("predict", "-m", "m@1", SAMPLES / "new_messages.csv").out == wanted


def test_a_saved_threshold_of_zero_is_kept(fresh: Run) -> None:
    fresh(
        "train-fasttext", SAMPLES / "tags_en.csv", "-o", "t", "-q", "--label-column", "labels",
        "--label-separator", ";", "--threshold", 0,
    )  # fmt: skip
    done = fresh("predict", "-m", "t", "--only", stdin="text\nhello\n")
    assert len(done.out.splitlines()[1].split(",")[0].split(";")) == 6


def test_chinese(fresh: Run) -> None:
    fresh("train-fasttext", SAMPLES / "messages_zh.csv", "-o", "zh", "-q")
    done = fresh("eval", "-m", "zh", SAMPLES / "messages_zh_test.csv", "--json")
    assert json.loads(done.out)["accuracy"]["value"] > 0.8


@pytest.mark.parametrize("loss", ["hs", *SLOW_LOSSES])
def test_losses_for_many_labels(fresh: Run, tmp_path: Path, loss: str) -> None:
    for _ in range(2):
        options = ("--loss", loss, "--epochs", 30, "--dim", 20, "-q")
        assert fresh("train-fasttext", TRAIN, "-o", "m", *options).code == 0
    store = tmp_path / "store" / "m"
    one, two = ((store / v / "model.safetensors").read_bytes() for v in "12")
    assert one == two
    done = fresh("predict", "-m", "m", "--probabilities", "--only", TRAIN)
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) == 261
    for line in lines[1:]:
        *_, a, b, c, d = line.split(",")
        assert sum(map(float, (a, b, c, d))) == pytest.approx(1, abs=1e-5)
    assert json.loads(fresh("eval", "-m", "m", TRAIN, "--json").out)["accuracy"]["value"] > 0.9
    new = tmp_path / "new.csv"
    new.write_text("text,label\ngood,quality\nbad,colour\n")
    done = fresh("train-fasttext", new, "-o", "n", "--continue-from", "m", "-q")
    if loss == "ns":
        assert done.code == 0
        return
    assert done.code == 65 and "label colour is new" in done.err
    new.write_text("text,label\ngood,quality\nbad,delivery\n")
    assert fresh("train-fasttext", new, "-o", "n", "--continue-from", "m", "-q").code == 0
    done = fresh("predict", "-m", "m", "--explain", 3, new)
    assert done.code == 2 and "no sum of features" in done.err


@pytest.mark.parametrize("loss", ["hs", "softmax", *SLOW_LOSSES])
def test_several_labels_a_row_share_a_softmax(fresh: Run, loss: str) -> None:
    options = ("--label-column", "labels", "--label-separator", ";", "--loss", loss)
    tags = SAMPLES / "tags_en.csv"
    assert fresh("train-fasttext", tags, "-o", "m", *options, "--epochs", 30, "-q").code == 0
    done = fresh("eval", "-m", "m", tags, "--label-column", "labels", "--json")
    assert json.loads(done.out)["precision_at_1"]["value"] > 0.8


def test_losses_and_options_that_do_not_go_together(fresh: Run) -> None:
    for options, reason in (
        (("--loss", "hs", "--dim", 0), "needs embeddings"),
        (("--loss", "squared-hinge", "--dim", 5), "has no embeddings"),
        (("--loss", "hs", "--negatives", 3), "--negatives has no meaning with --loss hs"),
        (("--loss", "ns", "--label-smoothing", 0.1), "--label-smoothing has no meaning"),
    ):
        done = fresh("train-fasttext", TRAIN, "-o", "m", *options)
        assert done.code == 2 and reason in done.err and not done.out


@pytest.mark.parametrize("loss", ["hs", *SLOW_LOSSES])
def test_rows_without_labels_and_a_single_label(fresh: Run, tmp_path: Path, loss: str) -> None:
    path = tmp_path / "sparse.csv"
    rows = [f"text {i} of many,{'a;b' if i % 40 == 0 else ''}" for i in range(400)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    for separated in (("a;b", "a;b"), ("a;b", "a")):
        path.write_text(path.read_text().replace(*separated))
        options = ("--loss", loss, "--label-separator", ";", "--dim", 3, "-q")
        assert fresh("train-fasttext", path, "-o", "m", *options).code == 0
        assert fresh("predict", "-m", "m", path).code == 0


def test_going_on_keeps_the_rate_and_the_draws_of_a_loss(fresh: Run, tmp_path: Path) -> None:
    options = ("--loss", "ns", "--negatives", 7, "--dim", 5, "-q")
    assert fresh("train-fasttext", TRAIN, "-o", "m", *options).code == 0
    assert fresh("train-fasttext", TRAIN, "-o", "m", "--continue-from", "m", "-q").code == 0
    for version in "12":
        manifest = json.loads((tmp_path / "store" / "m" / version / "manifest.json").read_bytes())
        assert (manifest["config"]["lr"], manifest["config"]["negatives"]) == (0.1, 7)
