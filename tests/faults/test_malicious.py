"""Forged models: sealed with right hashes, refused all the same, with one line that says where."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nlpcli.errors import DataError
from nlpcli.store.classifier import read_arrays, read_classifier
from nlpcli.store.states import RunState, RunStates
from nlpcli.store.store import Store

from ..cli.conftest import PROGRAM, environment, run_program
from .forging import Parts, forge, tensors
from .malice import MANIFEST, OPTIMIZER, TENSORS, TOKENIZER
from .tiny import ROWS, store, tiny  # noqa: F401

TEXTS = ["good fine great w1", "bad", ""]
CASES = {
    f"{where}: {what}": change
    for where, table in (("manifest", MANIFEST), ("tokenizer", TOKENIZER), ("tensors", TENSORS))
    for what, change in table.items()
}
SHOWN = ("manifest: a newer format", "manifest: another kind", "manifest: no label",
         "manifest: half a character", "tokenizer: deep words", "tokenizer: two and a half words",
         "tensors: inf and -inf", "tensors: numbers whose sum overflows")  # fmt: skip


def expect_refused(folder: Path, answer: Callable[[], object]) -> str:
    """One line that names the folder, soon."""
    begun = time.process_time()
    with pytest.raises(DataError) as caught:
        answer()
    assert time.process_time() - begun < 5
    message = caught.value.message
    assert str(folder) in message
    assert message.isprintable() and len(message) < len(str(folder)) + 400
    return message


@pytest.mark.parametrize("name", ["plain", "wide"])
@pytest.mark.parametrize("case", CASES)
def test_a_forged_model_is_refused(store: Path, case: str, name: str) -> None:  # noqa: F811
    folder = store / name / "1"
    forge(folder, CASES[case])

    def answer() -> None:
        opened, _ = Store(store).open(f"{name}@1")
        read_classifier(opened).probabilities(TEXTS)

    expect_refused(folder, answer)


@pytest.mark.parametrize("case", OPTIMIZER)
def test_a_forged_optimizer_is_refused(store: Path, case: str) -> None:  # noqa: F811
    folder = store / "plain" / "1"
    forge(folder, OPTIMIZER[case])
    opened, _ = Store(store).open("plain@1")
    classifier = read_classifier(opened)
    expect_refused(folder, lambda: read_arrays(opened, classifier))


def test_a_sealed_copy_without_a_change_is_read(store: Path) -> None:  # noqa: F811
    before = read_classifier(Store(store).open("wide@1")[0]).probabilities(TEXTS)
    forge(store / "wide" / "1", lambda _: None)
    after = read_classifier(Store(store).open("wide@1")[0]).probabilities(TEXTS)
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("case", SHOWN)
def test_the_program_says_so_in_one_line(store: Path, case: str) -> None:  # noqa: F811
    folder = store / "plain" / "1"
    forge(folder, CASES[case])
    done = run_program(store, "predict", "-m", "plain@1", stdin="text\ngood fine\nbad\n")
    assert (done.code, done.out) == (65, ""), done.err
    lines = done.err.splitlines()
    assert lines[0].startswith(f"error: {folder}")
    assert [line for line in lines[1:] if not line.startswith("hint: ")] == []


def test_files_of_two_versions_are_told_apart(store: Path) -> None:  # noqa: F811
    (store.parent / "rows.csv").write_text(ROWS)
    done = run_program(store, "train-fasttext", "rows.csv", "-q", "-o", "plain", "--epochs", "2")
    assert done.code == 0, done.err
    for file in ("model.safetensors", "optimizer.safetensors", "manifest.json"):
        for source, target in (("1", "2"), ("2", "1")):
            shutil.copytree(store / "plain" / target, store / "mixed" / "1")
            shutil.copy(store / "plain" / source / file, store / "mixed" / "1" / file)
            message = expect_refused(store / "mixed" / "1", lambda: Store(store).open("mixed@1"))
            assert "SHA-256 mismatch" in message or "the manifest says" in message
            shutil.rmtree(store / "mixed")


@pytest.mark.parametrize("file", ["manifest.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("what", ["link out", "link in", "pipe", "folder", "device"])
def test_only_regular_files_are_opened(store: Path, file: str, what: str) -> None:  # noqa: F811
    path = store / "plain" / "1" / file
    aside = path.rename(store / "aside")
    if what == "link out":
        path.symlink_to(aside)
    elif what == "link in":
        aside.rename(path.parent / "other")
        path.symlink_to("other")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    message = expect_refused(path, lambda: Store(store).open("plain@1"))
    assert message == f"{path}: not a regular file"
    if (file, what) in (("manifest.json", "pipe"), ("model.safetensors", "device")):
        done = run_program(store, "predict", "-m", "plain@1", stdin="text\ngood\n")
        assert (done.code, done.out, done.err) == (65, "", f"error: {message}\n")


def test_nothing_in_the_folder_is_run(store: Path) -> None:  # noqa: F811
    """Modules with the names of ours and of libraries, found by nobody; in the current folder."""
    folder = store / "plain" / "1"
    code = f"open({str(store / 'canary')!r}, 'a').write(__name__)\n".encode()
    names = ("nlpcli.py", "numpy.py", "json.py", "safetensors.py", "sitecustomize.py", "evil.py")

    def change(parts: Parts) -> None:
        parts.raw.update({name: code for name in names})

    forge(folder, change)
    command = [PROGRAM, "predict", "-m", "plain@1"]
    done = subprocess.run(
        command, input=b"text\ngood\n", cwd=folder, env=environment(store), capture_output=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (store / "canary").exists()
    subprocess.run([sys.executable, "-c", "import evil"], cwd=folder, check=True)
    assert (store / "canary").exists()


def test_hashes_that_fall_together_do_not_stop_it(store: Path) -> None:  # noqa: F811
    """All features want the same slot of the index; a load must still end."""
    count = 40_000

    def change(parts: Parts) -> None:
        width = parts.weights["weight"].shape[1]
        parts.weights.update(
            hashes=np.arange(count, dtype=np.uint64), idf=np.ones(count, np.float32),
            weight=np.zeros((count, width), np.float32),
        )  # fmt: skip
        parts.optimizer["weight"] = np.zeros(count, np.float32)
        parts.config["n_features"] = count

    forge(store / "plain" / "1", change)
    begun = time.process_time()
    with contextlib.suppress(DataError):
        read_classifier(Store(store).open("plain@1")[0]).probabilities(TEXTS)
    assert time.process_time() - begun < 1


DOCUMENT = {"options": {"seed": 1}, "numbers": {"step": 9}}
STATES = {
    "deep": json.dumps({"__metadata__": {"document": "[" * 1100}}),
    "a list": json.dumps({"__metadata__": {"document": "[]"}}),
    "options as a list": json.dumps(
        {"__metadata__": {"document": json.dumps(DOCUMENT | {"options": [1]})}}
    ),
    "numbers as text": json.dumps(
        {"__metadata__": {"document": json.dumps(DOCUMENT | {"numbers": "x"})}}
    ),
    "no document": "{}",
}


def a_state(folder: Path) -> RunStates:
    """Step 5 of a run."""
    states = RunStates(folder / "s")
    states.save(5, RunState({"seed": 1}, {"w": np.ones(3)}, {"step": 5}))
    return states


@pytest.mark.parametrize("case", STATES)
def test_a_forged_state_is_skipped(tmp_path: Path, case: str) -> None:
    states = a_state(tmp_path)
    data = tensors(STATES[case].encode())
    (states.folder / "9.state").write_bytes(hashlib.sha256(data).digest() + data)
    state, warnings = states.newest()
    assert state is not None and state.numbers == {"step": 5}
    assert len(warnings) == 1 and warnings[0].isprintable()


def test_a_pipe_in_place_of_a_state_is_skipped(tmp_path: Path) -> None:
    states = a_state(tmp_path)
    pipe = states.folder / "9.state"
    os.mkfifo(pipe)
    reader = threading.Thread(target=states.newest, daemon=True)
    reader.start()
    reader.join(2)
    waits = reader.is_alive()
    if waits:
        os.close(os.open(pipe, os.O_WRONLY))
        reader.join()
    assert not waits


@pytest.mark.parametrize("command", [("list",), ("show", "plain")])
def test_a_forged_manifest_is_listed_plainly(store: Path, command: tuple[str, ...]) -> None:  # noqa: F811
    """Text and numbers of the wrong type; what is shown holds no line and no code of its own."""

    def change(parts: Parts) -> None:
        parts.manifest.update(
            created="\x1b[31mred\nx", created_by="\x1b[31mred\nx", data={"rows": "\x1b[32m\nx"},
            metrics={"macro_f1": "\x1b[32m\nx"},
        )  # fmt: skip

    forge(store / "plain" / "1", change)
    done = run_program(store, "models", *command)
    assert done.code in (0, 65), done.err
    assert not any(line.strip() == "x" for line in done.out.splitlines())
