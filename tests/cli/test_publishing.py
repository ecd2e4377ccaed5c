"""A bad night is not served: gates, pins, roll-back, and runs that need not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import SAMPLES, Run

TRAIN = SAMPLES / "reviews_en.csv"
ROWS = SAMPLES / "new_messages.csv"
HALF = ("--dev-fraction", 0.3)


def versions(store: Path, name: str = "m") -> list[str]:
    return sorted(p.name for p in (store / name).iterdir())


def bad_rows(tmp_path: Path) -> Path:
    """Rows whose labels say nothing."""
    lines = TRAIN.read_text().splitlines()
    names = ["billing", "delivery", "quality", "support"]
    texts = [line.rpartition(",")[0] for line in lines[1:]]
    path = tmp_path / "bad.csv"
    rows = [f"{text},{names[i * 7919 % 4]}" for i, text in enumerate(texts)]
    path.write_text("\n".join([lines[0], *rows]) + "\n")
    return path


def test_a_version_below_the_limit_is_kept_unpublished(fresh: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    train = ("train-fasttext", TRAIN, "-o", "m", *HALF)
    assert fresh(*train, "--publish-if", "macro_f1>=0.5").out == f"{store}/m/1\n"
    wanted = fresh("predict", "-m", "m", ROWS).out
    done = fresh(*train, "--seed", 2, "--publish-if", "accuracy>=0.5", "--publish-if", "mcc>0.999")
    assert (done.code, done.out) == (1, "")
    assert "mcc is 0." in done.err and f"kept unpublished: {store}/m/2" in done.err
    assert "wanted more than 0.999" in done.err
    assert fresh("predict", "-m", "m", ROWS).out == wanted
    assert fresh("predict", "-m", "m@2", ROWS).code == 0
    assert "unpublished" in fresh("models", "list").out.splitlines()[2]
    done = fresh("models", "pin", "m@2")
    assert (done.code, done.out) == (0, f"{store}/m/2\n")
    assert fresh("predict", "-m", "m", ROWS).out == fresh("predict", "-m", "m@2", ROWS).out


def test_too_few_rows_to_measure_on(fresh: Run, tmp_path: Path) -> None:
    file = tmp_path / "two.csv"
    file.write_text("text,label\na b,x\nc d,y\n")
    for line in (
        ["--publish-if", "better"],
        ["--patience", 1],
        ["--publish-if", "mcc>0", "--dry-run"],
    ):
        done = fresh("train-fasttext", file, "-o", "m", "--dev-fraction", 0.1, *line)
        assert (done.code, done.out) == (65, ""), done.err
        assert f"{line[0]} needs rows to measure on, and 0.1 of 2 set none apart" in done.err


@pytest.mark.slow
def test_better_than_the_version_in_use(fresh: Run, tmp_path: Path) -> None:
    dev = SAMPLES / "reviews_en_test.csv"
    better = ("--dev", dev, "--publish-if", "better")
    first = fresh("train-fasttext", bad_rows(tmp_path), "-o", "m", *better)
    assert first.code == 0
    assert "no version is in use yet" in first.err
    assert fresh("train-fasttext", TRAIN, "-o", "m", *better).code == 0
    done = fresh("train-fasttext", bad_rows(tmp_path), "-o", "m", *better, "--json")
    assert done.code == 1
    report = json.loads(done.out)
    assert (report["published"], report["path"][-4:]) == (False, "/m/3")
    assert "which the version in use reaches" in done.err
    assert fresh("train-fasttext", TRAIN, "-o", "m", *better).code == 1  # the same is not better


def test_a_plain_path_is_not_written_when_the_answer_is_no(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "model"
    fresh("train-fasttext", TRAIN, "-o", path)
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    done = fresh(
        "train-fasttext", TRAIN, "-o", path, "--force", *HALF, "--publish-if", "accuracy>=1"
    )
    assert done.code == 1
    assert "nothing is written" in done.err
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--publish-if", "macro_f1>=0.5"], "needs rows to measure on"),
        ([*HALF, "--publish-if", "macrof1>=0.5"], "no metric macrof1"),
        ([*HALF, "--publish-if", "macro_f1"], "wanted METRIC>=NUMBER"),
        ([*HALF, "--publish-if", "macro_f1>=x"], "wanted METRIC>=NUMBER"),
    ],
)
def test_conditions_are_checked_before_anything_is_read(
    fresh: Run, options: list[object], message: str
) -> None:
    done = fresh("train-fasttext", "missing.csv", "-o", "m", *options)
    assert done.code == 2
    assert message in done.err


def test_nothing_is_done_when_nothing_changed(fresh: Run, tmp_path: Path) -> None:
    store, data = tmp_path / "store", tmp_path / "rows.csv"
    data.write_bytes(TRAIN.read_bytes())
    train = ("train-fasttext", data, "-o", "m", "--if-changed")
    assert fresh(*train).out == f"{store}/m/1\n"
    done = fresh(*train)
    assert (done.code, done.out) == (0, f"{store}/m/1\n")
    assert "nothing to do" in done.err
    assert versions(store) == ["1"]
    fresh(*train, "--cost", 0.3)
    assert versions(store) == ["1", "2"]
    with data.open("a") as stream:
        stream.write("a new row,billing\n")
    fresh(*train, "--cost", 0.3)
    assert versions(store) == ["1", "2", "3"]
    (store / "m" / "3" / "model.safetensors").unlink()
    assert fresh(*train, "--cost", 0.3).out == f"{store}/m/4\n"  # the newest is broken


@pytest.mark.slow
def test_unchanged_and_unpublished_stays_no(fresh: Run) -> None:
    train = ("train-fasttext", TRAIN, "-o", "m", "--if-changed", *HALF)
    assert fresh(*train, "--publish-if", "accuracy>=1").code == 1
    done = fresh(*train, "--publish-if", "accuracy>=1")
    assert done.code == 1
    assert "nothing changed since it was not published" in done.err
    assert fresh(*train).code == 0  # without the condition it is another run


@pytest.mark.slow
def test_keep_prunes_after_the_save(fresh: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for seed in range(4):
        assert fresh("train-fasttext", TRAIN, "-o", "m", "--seed", seed, "--keep", 2).code == 0
    assert versions(store) == ["3", "4"]


def test_pin_rollback_and_back(fresh: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for seed in (1, 2, 3):
        fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--seed", seed)
    (store / "m" / "2" / "tokenizer.json").write_bytes(b"{}")
    done = fresh("models", "rollback", "m")
    assert (done.code, done.out) == (0, f"{store}/m/1\n")
    assert "m@2 does not verify" in done.err and "m means m@1 now, m@3 before" in done.err
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--seed", 4)
    assert "m stays at the pinned version 1" in done.err
    assert json.loads(fresh("models", "show", "m", "--json").out)["version"] == 1
    assert fresh("models", "rollback", "m").code == 65
    assert fresh("models", "unpin", "m").out == f"{store}/m/4\n"
    assert fresh("models", "pin", "m@2").code == 65
    assert fresh("models", "pin", "m@9").code == 66
    assert fresh("models", "pin", "./m").code == 2
    assert fresh("models", "rollback", "m@3").code == 2
    assert fresh("models", "unpin", "x").code == 66
    assert fresh("models", "prune", "m", "--keep", 1, "--dry-run").out.count("\n") == 3
    assert versions(store) == ["1", "2", "3", "4"]


def test_a_broken_newest_version_is_not_served(fresh: Run, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for seed in (1, 2):
        fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--seed", seed)
    wanted = fresh("predict", "-m", "m@1", ROWS).out
    weights = store / "m" / "2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    done = fresh("predict", "-m", "m", ROWS)
    assert (done.code, done.out) == (0, wanted)
    assert done.err.startswith("warning: m@2 is skipped: ") and done.err.count("\n") == 1
    for spec in ("m@2", str(store / "m" / "2")):
        done = fresh("predict", "-m", spec, ROWS)
        assert (done.code, done.out) == (65, "")
        assert "truncated" in done.err


def test_a_dry_run_finds_the_same_errors_and_writes_nothing(fresh: Run, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = fresh("train-fasttext", TRAIN, "-o", "m", "--dry-run", "--json", *HALF)
    plan = json.loads(done.out)
    assert (plan["rows"], plan["dev_rows"], plan["labels"]) == (182, 78, 4)
    assert plan["parameters"] == plan["features"] * 4 + 4
    assert plan["steps"] == 105  # 182 rows, a twentieth a step, 5 epochs
    assert "parameters" in fresh("train-fasttext", TRAIN, "-o", "m", "--dry-run").out
    assert fresh("train-fasttext", "missing.csv", "-o", "m", "--dry-run").code == 66
    assert fresh("train-fasttext", TRAIN, "-o", tmp_path, "--dry-run").code == 73
    assert fresh("train-fasttext", TRAIN, "-o", TRAIN / "x" / "m", "--dry-run").code == 73
    assert fresh("train-fasttext", ROWS, "-o", "m", "--dry-run").code == 65
    assert fresh("train-fasttext", TRAIN, "-o", "m", "--dry-run", "--device", "cuda:9").code == 69
    assert sorted(tmp_path.rglob("*")) == before


def test_new_words_and_labels_join_and_old_ones_stay(fresh: Run, tmp_path: Path) -> None:
    new = tmp_path / "new.csv"
    new.write_text("text,label\n" + "".join(
        f"my zorblax number {i} is purple and loud,zorblax\n" for i in range(30)
    ))  # fmt: skip
    fresh("train-fasttext", TRAIN, "-o", "m", "-q")
    before = json.loads(fresh("eval", "-m", "m", SAMPLES / "reviews_en_test.csv", "--json").out)
    done = fresh("train-fasttext", new, "-o", "m", "--continue-from", "m", "--json")
    report = json.loads(done.out)
    assert (report["labels"], report["rows"]) == (5, 30)
    after = json.loads(fresh("eval", "-m", "m", SAMPLES / "reviews_en_test.csv", "--json").out)
    assert after["accuracy"]["value"] > before["accuracy"]["value"] - 0.05
    done = fresh("predict", "-m", "m", "--only", stdin="text\na purple zorblax\n")
    assert done.out.splitlines()[1].startswith("zorblax,")


@pytest.mark.slow
def test_what_a_continued_model_cannot_change(fresh: Run, tmp_path: Path) -> None:
    fresh("train-fasttext", TRAIN, "-o", "m", "-q", "--dim", 4)
    again = ("train-fasttext", TRAIN, "-o", "n", "--continue-from", "m")
    assert fresh(*again, "--dim", 4, "--epochs", 1, "-q").code == 0
    for options, message in (
        (["--dim", 5], "--dim 5: m has 4"),
        (["--word-ngrams", 3], "--word-ngrams 3: m has 2"),
        (["--keep-case"], "--lowercase False: m has True"),
        (["--label-separator", ";"], "m gives one label a row"),
    ):
        done = fresh(*again, *options)
        assert done.code == 2, done.err
        assert message in done.err
    assert fresh("train-fasttext", TRAIN, "-o", "n", "--continue-from", "x").code == 66
    (tmp_path / "store" / "m" / "1" / "optimizer.safetensors").unlink()
    assert fresh("train-fasttext", TRAIN, "-o", "n", "--continue-from", "m").code == 65


def test_rejected_rows_do_not_overwrite_the_input(fresh: Run, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_bytes(TRAIN.read_bytes())
    link = tmp_path / "link.csv"
    link.symlink_to(data)
    for options in (["--rejects", data], ["--rejects", link]):
        done = fresh("train-fasttext", data, "-o", "m", "--on-error", "skip", *options)
        assert done.code == 2
        assert "the same file as TRAIN, which is read" in done.err
    assert data.read_bytes() == TRAIN.read_bytes()


@pytest.mark.parametrize("command", ["train-fasttext", "finetune"])
@pytest.mark.parametrize("option", ["--dev", "--class-weight"])
def test_stdin_is_read_once(fresh: Run, command: str, option: str) -> None:
    base = ["--from", "./none"] if command == "finetune" else []
    done = fresh(command, "-", "-o", "m", *base, option, "-", stdin=TRAIN.read_bytes())
    assert done.code == 2 and f"{option} -: TRAIN is stdin as well" in done.err, done.err


@pytest.mark.parametrize("command", ["train-fasttext", "finetune"])
def test_rejected_rows_do_not_overwrite_the_weights(
    fresh: Run, tmp_path: Path, command: str
) -> None:
    weights = tmp_path / "weights.csv"
    weights.write_text("label,weight\ngood,2\n")
    files = ["--class-weight", weights, "--rejects", weights]
    base = ["--from", "./none"] if command == "finetune" else []
    done = fresh(command, TRAIN, "-o", "m", *base, "--on-error", "skip", *files)
    assert done.code == 2, done.err
    assert f"--rejects {weights}: the same file as --class-weight, which is read" in done.err
    assert weights.read_text().startswith("label,weight")
