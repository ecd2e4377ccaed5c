"""The contract of every command, by the numbers of the project's list of 40 behaviours.

A new command joins with one line in ``COMMANDS``. Each test's name starts with the numbers it
covers. Better tested elsewhere: 5 in test_predict.py and test_settings.py; 16, 18, 21, 31 and 33
in test_predict.py; 28-30, 32 and 40 in test_train.py and tests/faults; 35 in test_train.py;
36 and 37 in test_settings.py; 38 in test_train.py; 20 needs minutes and is run as a benchmark.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nlpcli.store.manifest import Manifest

from .conftest import COLD, PROGRAM, SAMPLES, Done, Run, environment, run_program

NEW, TEST = str(SAMPLES / "new_messages.csv"), str(SAMPLES / "reviews_en_test.csv")
FILE = str(SAMPLES / "reviews_en.bin")
TRAIN = str(SAMPLES / "reviews_en.csv")
VECTORS = str(SAMPLES / "words_en.vec")
SCHEMAS = Path(__file__).parent / "schemas"
CLOUDS = {
    "CI": "true", "GITHUB_ACTIONS": "true", "GITLAB_CI": "true", "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1", "PY_COLORS": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color",
    "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One command: what makes it succeed, and what kind of data it prints then."""

    name: str
    argv: tuple[str, ...]
    out: str
    out_of_range: tuple[str, str] | None = None
    json: bool = False
    rows: str | None = None
    trainer: bool = False

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def line(self) -> list[str]:
        """The words that succeed."""
        return [*self.name.split(), *self.argv]

    def with_rows(self, file: str | Path) -> list[str]:
        """The same, reading another file."""
        assert self.rows is not None
        return [str(file) if word == self.rows else word for word in self.line]


COMMANDS = [
    Command(
        "train-fasttext", (TRAIN, "-o", "new"), "path", ("--epochs", "0"), json=True, rows=TRAIN,
        trainer=True,
    ),
    Command(
        "train-w2v", (TRAIN, "-o", "words", "--epochs", "1"), "path", ("--epochs", "0"), json=True,
        trainer=True,
    ),
    Command(
        "train-lm", (TRAIN, "-o", "newlm", "--label-column", "label"), "path", ("--order", "0"),
        json=True, rows=TRAIN, trainer=True,
    ),
    Command(
        "pretrain-bert",
        (TRAIN, "-o", "encoder", "--size", "tiny", "--steps", "2", "--batch-size", "2",
         "--max-length", "16"),
        "path", ("--steps", "0"), json=True, trainer=True,
    ),
    Command(
        "finetune",
        (TRAIN, "--from", "./encoder", "-o", "tuned", "--epochs", "1", "--max-length", "8"),
        "path", ("--epochs", "0"), json=True, rows=TRAIN, trainer=True,
    ),
    Command("predict", (NEW, "-m", "reviews"), "csv", ("--top-k", "0"), rows=NEW),
    Command(
        "ngrams", (TRAIN, "--label-column", "label"), "csv", ("--min-count", "0"), rows=TRAIN
    ),
    Command("eval", (TEST, "-m", "reviews"), "text", ("--resamples", "1"), json=True, rows=TEST),
    Command(
        "doctor", (TRAIN, "--rounds", "1", "--folds", "2"), "csv", ("--folds", "1"), json=True,
        rows=TRAIN,
    ),
    Command(
        "neighbors", ("-m", VECTORS, "refund"), "csv", ("--top-k", "0"), json=True,
    ),
    Command("models list", (), "text", json=True),
    Command("models show", ("reviews",), "text", json=True),
    Command("models verify", ("reviews",), "text"),
    Command("models pin", ("reviews@1",), "path"),
    Command("models unpin", ("reviews",), "path"),
    Command("models rollback", ("reviews",), "path"),
    Command("models prune", ("reviews", "--keep", "1"), "path", ("--keep", "0")),
    Command("models import", (FILE, "imported"), "path"),
    Command("models export", (FILE, "copy.bin", "--to", "fasttext", "--force"), "path"),
    Command("man", (), "roff"),
    Command("completion", ("bash",), "text"),
]  # fmt: skip
JSON = [command for command in COMMANDS if command.json]
READERS = [command for command in COMMANDS if command.rows]
RANGED = [command for command in COMMANDS if command.out_of_range]
each = pytest.mark.parametrize("command", COMMANDS, ids=str)
SOME = {"train-fasttext", "finetune", "predict", "eval", "ngrams", "models list", "man"}
"""That print in all the ways there are; the others are tried with the slow tests."""
some = pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[] if c.name in SOME else [pytest.mark.slow]) for c in COMMANDS],
    ids=str,
)


@pytest.fixture
def place(models: Path, encoder: Path, tmp_path: Path) -> Run:
    """Runs the program over a copy of the trained store in which ``reviews`` has two versions, and
    beside an encoder."""
    store = tmp_path / "store"
    shutil.copytree(encoder, tmp_path / "encoder")
    shutil.copytree(models, store)
    shutil.copytree(store / "reviews" / "1", store / "reviews" / "2")
    return lambda *arguments, **more: run_program(store, *arguments, **more)


def contents(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def examples(text: str) -> list[str]:
    """The example lines of a help text, continued lines joined."""
    block = text.split("Examples:\n")[1].split("\n\n")[0]
    return [line.strip() for line in block.replace("\\\n", " ").splitlines()]


# --- help and usage -------------------------------------------------------------------


@each
def test_01_02_help(nlpcli: Run, command: Command) -> None:
    long = nlpcli(*command.name.split(), "--help")
    assert (long.code, long.err) == (0, "")
    assert nlpcli(*command.name.split(), "-h", COLUMNS="200", **CLOUDS) == long
    assert long.out.startswith(f"Usage: nlpcli {command.name} ")
    assert len(examples(long.out)) >= 2
    assert all(line.startswith(f"nlpcli {command.name}") for line in examples(long.out))
    assert "Exit codes:" in long.out
    assert max(map(len, long.out.splitlines())) <= 80


def test_03_help_examples_run_as_written(tmp_path: Path) -> None:
    shutil.copytree(SAMPLES, tmp_path / "sample_data")
    store = tmp_path / "models"  # where an example's models go, for its shell has no variables
    names = [*(command.name for command in COMMANDS), "", "models"]
    found = {name: examples(run_program(store, *name.split(), "-h").out) for name in names}
    late = ["models rollback", "models prune"]
    first = found.pop("train-fasttext")
    last = [line for name in late for line in found.pop(name)]
    middle = [line for lines in found.values() for line in lines]
    for line in [first[0], *first, *middle, *last]:
        done = run_example(line, store)
        assert done.code == 0, f"{line}: {done.err}"
        assert "error" not in done.err


def run_example(line: str, store: Path) -> Done:
    """By a shell where the line needs more of one than taking words apart."""
    program, *words = shlex.split(line)
    assert program == "nlpcli"
    if not (COLD or re.search(r"[|&<>]", line)):
        return run_program(store, *words)
    plain = {k: v for k, v in environment(store).items() if k != "NLPCLI_STORE"}
    plain["PATH"] = f"{Path(PROGRAM).parent}:{plain['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line], capture_output=True, text=True,
        cwd=store.parent, env=plain, timeout=120,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def test_04_version(nlpcli: Run) -> None:
    done = nlpcli("--version")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"nlpcli \d+\.\d+\.\d+", done.out.splitlines()[0])


@pytest.mark.parametrize("words", [[], ["models"]])
def test_06_no_command_is_answered_by_the_help(nlpcli: Run, words: list[str]) -> None:
    done = nlpcli(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(nlpcli(*words, "--help").out)
    assert done.err.endswith("error: no command given\n")


@each
def test_07_unknown_options_and_commands(nlpcli: Run, models: Path, command: Command) -> None:
    before = contents(models)
    done = nlpcli(*command.line, "--shwo-config")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: no such option: --shwo-config\nhint: did you mean --show-config?\n"
    *group, name = command.name.split()
    done = nlpcli(*group, name + "x", *command.argv)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: no such command: {name}x\nhint: did you mean {name}?\n"
    assert contents(models) == before


@pytest.mark.parametrize("command", RANGED, ids=str)
def test_08_out_of_range(nlpcli: Run, models: Path, command: Command) -> None:
    assert command.out_of_range is not None
    before = contents(models)
    done = nlpcli(*command.line, *command.out_of_range)
    assert (done.code, done.out) == (2, "")
    option, value = command.out_of_range
    assert re.match(rf"error: {option} {value}: wanted a whole number (from|of) \d", done.err)
    assert contents(models) == before


# --- input ----------------------------------------------------------------------------


def test_09_a_file_named_like_an_option(place: Run, tmp_path: Path) -> None:
    shutil.copy(NEW, tmp_path / "-x.csv")
    done = place("predict", "-m", "reviews", "--", "-x.csv")
    assert (done.code, done.err) == (0, "")
    assert done.out == place("predict", "-m", "reviews", NEW).out


@pytest.mark.parametrize("command", READERS, ids=str)
def test_10_12_dashes_mean_the_standard_streams(place: Run, command: Command) -> None:
    assert command.rows is not None
    wanted = place(*command.line, "-q")
    data = Path(command.rows).read_bytes()
    done = place(*command.with_rows("-"), "-q", stdin=data)
    assert done.code == 0
    if command.out == "path":
        files = [Path(d.out.strip()) / "model.safetensors" for d in (wanted, done)]
        assert files[0].read_bytes() == files[1].read_bytes()
        return
    assert done == wanted
    if command.name == "predict":
        assert place(*command.line[:1], *command.line[2:], "-o", "-", stdin=data) == wanted


def on_a_terminal(arguments: list[str], store: Path, end: int, **more: str) -> Done:
    """Runs with descriptor ``end`` on a pseudo-terminal; what it shows comes back as stderr."""
    lead, follow = pty.openpty()
    ends: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    ends["stdin" if end == 0 else "stderr"] = follow
    process = subprocess.Popen(
        [PROGRAM, *arguments], stdout=subprocess.PIPE, env=environment(store, **more),
        cwd=store.parent, **ends,
    )  # fmt: skip
    os.close(follow)
    seen = b""
    try:
        if end != 0:
            # reading a terminal that its last user closed is an error
            with contextlib.suppress(OSError):
                while piece := os.read(lead, 4096):
                    seen += piece
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(lead)
    return Done(process.returncode, out.decode(), (err or seen).decode())


def test_11_nobody_is_asked_to_type_rows(models: Path, nlpcli: Run) -> None:
    done = on_a_terminal(["predict", "-m", "reviews"], models, 0)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(nlpcli("predict", "--help").out)
    assert done.err.endswith("error: no INPUT given, and stdin is a terminal\n")
    for name in ("train-fasttext", "eval"):
        done = on_a_terminal([name, "-m", "reviews"][: 1 if name != "eval" else 3], models, 0)
        assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"\xef\xbb\xbftext\nhello\n", "hello,"),
        (b"text,b\r\nhello,1\r\n", "hello,1,"),
        (b'text\n"one\ntwo"\n', '"one\ntwo",'),
        (b"text\n" + b"long " * 200_000 + b"\n", "long long "),
        (b"text\na\x00b\n", 65),
        (b'text\n"open\n', 65),
        (b"text\nok\n\xe9t\xe9\n", "<stdin> line 3 byte 1: invalid UTF-8 (0xe9)"),
    ],
)  # fmt: skip
def test_14_15_bytes_that_trip_readers(nlpcli: Run, data: bytes, wanted: str | int) -> None:
    done = nlpcli("predict", "-m", "reviews", stdin=data)
    if isinstance(wanted, str) and not wanted.startswith("<"):
        assert (done.code, done.err) == (0, "")
        assert done.out.partition("\n")[2].startswith(wanted)
    else:
        assert done.code == 65
        assert re.match(r"error: <stdin> line \d", done.err), done.err
        assert str(wanted).replace("65", "") in done.err


@pytest.mark.parametrize("command", READERS, ids=str)
def test_17_columns(place: Run, tmp_path: Path, command: Command) -> None:
    with Path(str(command.rows)).open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    bare = tmp_path / "bare.csv"
    with bare.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    numbers = ["--no-header", "--text-column", str(header.index("text") + 1)]
    if "label" in header:
        numbers += ["--label-column", str(header.index("label") + 1)]
    done = place(*command.with_rows(bare), *numbers, "-q")
    wanted = place(*command.line, "-q")
    assert (done.code, done.err) == (0, "")
    if command.out == "csv":
        assert done.out == wanted.out.partition("\n")[2]  # no header in, none out
    elif command.out == "text":
        assert done.out == wanted.out
    done = place(*command.line, "--text-column", "txet")
    assert done.code == 65
    assert f"no column txet; there: {', '.join(header)}\nhint: did you mean text?" in done.err


@pytest.mark.parametrize("command", READERS, ids=str)
def test_19_26_nothing_to_read(place: Run, tmp_path: Path, command: Command) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    done = place(*command.with_rows(empty))
    assert (done.code, done.out) == (65, "")
    empty.write_text("text,label\n")
    done = place(*command.with_rows(empty))
    if command.out == "csv":
        assert (done.code, len(done.out.splitlines())) == (0, 1)
    else:
        assert (done.code, done.out) == (65, "")
    assert "nan" not in done.out + done.err
    done = place(*command.with_rows(tmp_path / "none.csv"))
    assert (done.code, done.out) == (66, "")
    assert "none.csv" in done.err


def test_26_outputs_that_cannot_be_made(place: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for arguments in (
        ["train-fasttext", "none.csv", "-o", f"{file}/model"],
        ["train-fasttext", "none.csv", "-o", "m", "--store", f"{file}/store"],
        ["predict", "-m", "reviews", NEW, "-o", f"{file}/out.csv"],
        ["predict", "-m", "reviews", NEW, "--rejects", f"{file}/out.csv"],
        ["eval", "-m", "reviews", TEST, "--rejects", f"{file}/out.csv"],
        ["eval", "-m", "reviews", "none.csv", "--report", f"{file}/out.html"],
    ):
        done = place(*arguments)
        assert (done.code, done.out) == (73, ""), arguments
        assert str(file) in done.err


# --- output ---------------------------------------------------------------------------


@each
def test_13_22_24_stdout_is_data_and_quiet_is_quiet(
    place: Run, tmp_path: Path, command: Command
) -> None:
    done = place(*command.line, "-q", **CLOUDS)
    assert (done.code, done.err) == (0, "")
    assert "\r" not in done.out
    assert done.out.endswith("\n")
    if command.out == "csv":
        rows = list(csv.reader(io.StringIO(done.out, newline=""), strict=True))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
    elif command.out == "path":
        folders = list(map(Path, done.out.splitlines()))
        assert folders
        assert command.name == "models prune" or all((tmp_path / f).exists() for f in folders)
    elif command.out == "roff":
        assert done.out.startswith(".TH NLPCLI 1 ")
    done = place(*command.line, "-q", "--store", tmp_path / "none" / "x", "--zz")
    assert (done.code, done.err.startswith("error: ")) == (2, True)


@pytest.mark.parametrize("command", JSON, ids=str)
def test_25_json_keeps_its_schema(place: Run, command: Command) -> None:
    done = place(*command.line, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out, parse_constant=pytest.fail)
    schema = json.loads((SCHEMAS / f"{command}.json").read_bytes())
    assert complaints(document, schema, schema.get("define", {})) == []
    done = place(*command.line, "--json", "--show-config")
    schema = json.loads((SCHEMAS / "show-config.json").read_bytes())
    assert complaints(json.loads(done.out), schema, {}) == []


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "null": lambda v: v is None,
}


def complaints(value: Any, schema: Any, define: dict[str, Any], at: str = "") -> list[str]:
    """Where a document breaks a schema: type names, ``required`` keys, ``each`` and ``items``."""
    if isinstance(schema, list):
        found = [complaints(value, one, define, at) for one in schema]
        return [] if [] in found else found[0]
    if isinstance(schema, str) and schema not in define:
        return [] if TYPES[schema](value) else [f"{at}: {value!r} is no {schema}"]
    schema = define[schema] if isinstance(schema, str) else schema
    inside: Iterator[tuple[str, Any, Any]]
    if "items" in schema:
        if not isinstance(value, list):
            return [f"{at}: no list"]
        inside = ((f"{at}[{i}]", item, schema["items"]) for i, item in enumerate(value))
    elif not isinstance(value, dict):
        return [f"{at}: no object"]
    elif "each" in schema:
        inside = ((f"{at}.{key}", item, schema["each"]) for key, item in value.items())
    else:
        missing = [f"{at}.{key}: missing" for key in schema["required"] if key not in value]
        if missing:
            return missing
        inside = ((f"{at}.{key}", value[key], one) for key, one in schema["required"].items())
    return [line for where, item, one in inside for line in complaints(item, one, define, where)]


def test_25_the_validator_finds_what_is_wrong() -> None:
    schema = {"required": {"a": {"items": "integer"}, "b": ["number", "null"], "c": "x"}}
    define = {"x": {"each": "string"}}
    assert complaints({"a": [1], "b": None, "c": {"d": ""}, "e": 1}, schema, define) == []
    for wrong in ({"a": [1.5]}, {"a": 1}, {"b": True}, {"c": {"d": 1}}, {"c": []}):
        assert complaints({"a": [], "b": 1, "c": {}, **wrong}, schema, define) != []
    assert complaints({"a": [], "b": 1}, schema, define) == [".c: missing"]


@pytest.mark.parametrize(
    ("options", "variables", "coloured"),
    [
        ([], {}, True),
        (["--no-color"], {}, False),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"NLPCLI_NO_COLOR": "1"}, False),
        ([], {"TERM": "dumb"}, False),
        (["-q"], {}, False),
    ],
)  # fmt: skip
def test_23_no_escape_codes_where_they_are_unwanted(
    tmp_path: Path, options: list[str], variables: dict[str, str], coloured: bool
) -> None:
    # every command has the same console; with variables the one that starts fastest
    trainer = ["train-lm"] if variables else ["train-fasttext", "--epochs", "1"]
    line = [*trainer, TRAIN, "-o", "m", *options]
    done = on_a_terminal(line, tmp_path / "s", 2, **{**CLOUDS, **variables})
    assert done.code == 0
    assert "\x1b" not in done.out
    assert ("\x1b" in done.err) == coloured
    assert ("-q" in options) == (done.err == "")


def run_into(
    stdout: int, stderr: int, command: list[str], store: Path, **more: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [PROGRAM, *command], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        env=environment(store, **more), cwd=store.parent, timeout=60,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@some
def test_26_a_full_disk(place: Run, tmp_path: Path, command: Command) -> None:
    assert "PYTHONUNBUFFERED" not in environment(tmp_path)
    with open("/dev/full", "wb") as full:
        line = [*command.line, "-q"]
        done = run_into(full.fileno(), subprocess.PIPE, line, tmp_path / "store")
    assert done.returncode == 74
    assert re.fullmatch(rb"error: .*No space left on device\n", done.stderr)


@some
def test_27_a_reader_that_left(place: Run, tmp_path: Path, command: Command) -> None:
    store = tmp_path / "store"
    for line in ([*command.line, "-q"], [*command.name.split(), "--help"]):
        ours, theirs = os.pipe()
        os.close(ours)
        done = run_into(theirs, subprocess.PIPE, line, store)
        os.close(theirs)
        # a death by SIGPIPE is what a shell calls 141
        assert done.returncode in {141, -signal.SIGPIPE}
        assert done.stderr == b""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(c, marks=[] if c.name == "train-fasttext" else [pytest.mark.slow])
        for c in COMMANDS
        if c.trainer
    ],
    ids=str,
)
def test_27_a_trainer_outlives_its_log(place: Run, tmp_path: Path, command: Command) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = run_into(subprocess.PIPE, theirs, command.line, tmp_path / "store")
    os.close(theirs)
    assert done.returncode == 0
    assert (Path(done.stdout.decode().strip()) / "manifest.json").exists()
    line = f"{PROGRAM} {' '.join(command.line)}"
    for ends, code in (("2>&-", 0), ("<&- 2>&-", 0), (">&- 2>&-", 74)):
        shell = run_into_shell(f"{line} {ends}", tmp_path / "store")
        assert shell.returncode == code, ends
        assert shell.stderr == b""


def run_into_shell(line: str, store: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, env=environment(store), cwd=store.parent,
        timeout=60,
    )  # fmt: skip


def test_21_24_each_row_on_its_own_and_more_detail(nlpcli: Run) -> None:
    wanted = nlpcli("predict", "-m", "reviews", NEW)
    assert nlpcli("predict", "-m", "reviews", NEW, "--line-buffered") == wanted
    done = nlpcli("predict", "-m", "reviews", NEW, "-v")
    assert (done.code, done.out) == (0, wanted.out)
    model, rows = done.err.splitlines()
    assert model.startswith("model ") and model.endswith("/reviews/1: 4 labels")
    assert re.fullmatch(r"\d+ rows in \d+\.\d\d s", rows)
    assert nlpcli("predict", "-m", "reviews", NEW, "-v", "-q").err == ""


# --- models and bugs ------------------------------------------------------------------


def test_34_models_of_another_kind_or_time(place: Run, tmp_path: Path) -> None:
    file = tmp_path / "store" / "tags" / "1" / "manifest.json"
    manifest = Manifest.from_json(file.read_bytes(), "tags")
    file.write_bytes(dataclasses.replace(manifest, kind="skipgram").to_json())
    done = place("predict", "-m", "tags@1", NEW)
    assert (done.code, done.out) == (65, "")
    assert "skipgram" in done.err
    file.write_text(json.dumps({**json.loads(manifest.to_json()), "format_version": 99}))
    done = place("predict", "-m", "tags@1", NEW)
    assert (done.code, done.out) == (65, "")
    assert "format version 99; this program reads up to" in done.err


def test_39_our_bugs_are_one_line(models: Path) -> None:
    code = (
        "import nlpcli.commands.app as app\n"
        "app.build_command = lambda: {}['missing\\nkey']\n"
        "from nlpcli.__main__ import main\n"
        "main()\n"
    )
    for arguments, traceback in (([], False), (["--debug"], True)):
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", *arguments], capture_output=True, text=True,
            env=environment(models), timeout=60,
        )  # fmt: skip
        assert done.returncode == 70, done.stderr
        assert ("Traceback" in done.stderr) == traceback
        if not traceback:
            error, hint = done.stderr.splitlines()
            assert error.startswith("error: internal error: KeyError")
            assert "--debug" in hint


def test_39_a_full_gpu_is_no_bug(models: Path) -> None:
    code = (
        "import torch\n"
        "import nlpcli.commands.app as app\n"
        "def full(): raise torch.OutOfMemoryError('CUDA out of memory.')\n"
        "app.build_command = full\n"
        "from nlpcli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict"], capture_output=True, text=True,
        env=environment(models), timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == "error: out of GPU memory\nhint: --device cpu\n"
