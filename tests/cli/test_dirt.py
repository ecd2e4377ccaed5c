"""Dirty input through the installed program. Ids begin with the row of the table of faults."""

from __future__ import annotations

import csv
import io
import json
import lzma
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from .conftest import PROGRAM, Run, environment, run_program

SKIP_HINT = "hint: --on-error skip drops such rows\n"
CP1252_HINT = "hint: iconv -f cp1252 -t UTF-8\n"
GOOD = b"text,label\nok,x\n"
JSON = b'{"text": "ok", "label": "x"}\n'


@dataclass(frozen=True)
class Case:
    """A file and what is said of it, or the rows it holds."""

    id: str
    data: bytes
    says: str = ""
    hint: str = ""
    options: tuple[object, ...] = ()
    commands: tuple[str, ...] = ("train-fasttext", "predict", "eval")
    suffix: str = "csv"
    rows: tuple[list[str], ...] = ()


def cases(found: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", found, ids=lambda case: case.id)


def table(text: str) -> list[list[str]]:
    csv.field_size_limit(1 << 30)
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def names_in(folder: Path) -> list[str]:
    """What is there, but for the files that runs lock."""
    return sorted(name for name in os.listdir(folder) if not name.endswith(".lock"))


def command(case: Case, path: Path, target: Path) -> dict[str, list[object]]:
    """What to run for each command; outputs would go to ``target``."""
    return {
        "train-fasttext": ["train-fasttext", path, "-o", target / "model", *case.options],
        "predict": ["predict", "-m", "reviews", path, "-o", target / "out.csv", *case.options],
        "eval": ["eval", "-m", "reviews", path, *case.options],
    }


REFUSED = [
    Case("1-empty", b"", ": empty: no header and no rows"),
    Case("1-blank-lines", b"\n\r\n\n", ": empty: no header and no rows"),
    Case("1-jsonl", b"\n", ": empty: no rows", suffix="jsonl"),
    Case("2-no-column", b"txet,label\na,x\n", ": no column text; there: txet, label",
         "hint: did you mean txet?\n"),
    Case("2-unnamed-columns", b",label,\na,x,y\n",
         ": no column text; there: (unnamed), label, (unnamed)"),
    Case("3-duplicate-header", b"text,label,text\na,x,b\n",
         " line 1: column text occurs twice, at 1 and 3"),
    Case("4-two-marks", b"\xef\xbb\xbf" * 2 + GOOD, ": no column text; there: \\ufefftext, label",
         "hint: did you mean \\ufefftext?\n"),
    *(
        Case(f"5-{name}", GOOD.decode().encode(name), f": looks like {said}, wanted UTF-8",
             f"hint: iconv -f {said} -t UTF-8\n")
        for name, said in {
            "utf-16": "UTF-16", "utf-32": "UTF-32", "utf-16-le": "UTF-16LE",
            "utf-16-be": "UTF-16BE", "utf-32-le": "UTF-32LE", "utf-32-be": "UTF-32BE",
        }.items()
    ),
    Case("6-cp1252", GOOD + "“naïve” café,x\n".encode("cp1252"),
         " line 3 byte 1: invalid UTF-8 (0x93)", CP1252_HINT),
    Case("6-behind-quotes", GOOD + b'"a ""b""\xe9t\xe9",x\n',
         " line 3 byte 9: invalid UTF-8 (0xe9)", CP1252_HINT),
    Case("6-line-in-a-row", b'text,label\n"one\r\ntwo\nd\xe9j\xe0",x\n',
         " line 4 byte 2: invalid UTF-8 (0xe9)", CP1252_HINT),
    Case("6-two-encodings", "text,label\ncafé,x\n".encode() + "ça,x\n".encode("latin-1"),
         " line 3 byte 1: invalid UTF-8 (0xe7)", SKIP_HINT),
    Case("6-gbk", GOOD + "退款,x\n".encode("gbk"), " line 3 byte 1: invalid UTF-8 (0xcd)",
         SKIP_HINT),
    Case("6-lone-surrogate", GOOD + "我".encode() + b"\xed\xa0\x80,x\n",
         " line 3 byte 4: invalid UTF-8 (0xed)", SKIP_HINT),
    Case("6-header-with-mark", b"\xef\xbb\xbftext,l\xe4bel,label\n1,2,3\n",
         " line 1 byte 10: invalid UTF-8 (0xe4)", CP1252_HINT),
    Case("7-nul", GOOD + b"a,x\nb\0,x\n", " line 4 byte 2: a NUL", SKIP_HINT),
    Case("8-unclosed-quote", GOOD + b'"never,x\n' + b"a,x\n" * 1000,
         " line 3: a quote opened here is never closed"),
    Case("8-until-another-quote", GOOD + b'"never,x\n' + b"a,x\n" * 1000 + b'"b",x\n',
         " line 3: a quote opened here, and text after the quote that closes it in line 1004",
         options=("--on-error", "skip")),
    Case("8-skipped-all-the-same", GOOD + b'"never,x\n', options=("--on-error", "skip"),
         says=" line 3: a quote opened here is never closed"),
    Case("8-beyond-the-cap", GOOD + b'"never,x\n' + b"a,x\n" * 300_000, options=("--max-field", 1),
         says=" line 3: a field of more than 1,048,576 characters begins here, "
         "or a quote is never closed"),
    Case("11-too-few", GOOD + b"a\n", " line 3: 1 fields, the header has 2", SKIP_HINT),
    Case("11-too-many", GOOD + b"a,b,c\n", " line 3: 3 fields, the header has 2", SKIP_HINT),
    Case("11-text-behind-a-quote", GOOD + b'"a"b,x\n', " line 3: text after a closing quote",
         SKIP_HINT),
    Case("13-blank-label", GOOD + b"a, \n", " line 3: the label is blank", SKIP_HINT,
         commands=("train-fasttext", "eval")),
    Case("13-no-label-in-fasttext", b"__label__x ok\nno label\n", " line 2: the label is blank",
         SKIP_HINT, options=("--format", "fasttext"), commands=("train-fasttext", "eval")),
    Case("15-tabs", GOOD.replace(b",", b"\t"), ": no column text; there: text\\tlabel",
         "hint: 1 column; tab-separated? --format tsv\n"),
    Case("15-commas", GOOD, ": no column text; there: text,label",
         "hint: 1 column; comma-separated? --format csv\n", suffix="tsv"),
    Case("18-escape-codes", b"\x1b[31mtext,label\na,x\n",
         ": no column text; there: \\x1b[31mtext, label", "hint: did you mean \\x1b[31mtext?\n"),
    Case("82-field-over-the-cap", GOOD + b"y" * (1 << 20) + b"y,x\n", options=("--max-field", 1),
         says=" line 3: a line of more than 1,048,576 bytes",
         hint="hint: --max-field 2\n"),
    Case("83-endless-line", b"x" * 3_000_000, options=("--max-field", 1),
         says=" line 1: a line of more than 1,048,576 bytes",
         hint="hint: --max-field 2\n"),
    Case("83-million-columns", b"text,label" + b",c" * 999_998 + b"\n",
         " line 1: 1,000,000 columns, wanted at most 65,536"),
    Case("83-million-fields", GOOD + b"," * 999_999 + b"\n",
         " line 3: 1,000,000 fields, the header has 2", SKIP_HINT),
    Case("88-cut-short", lzma.compress(GOOD)[:-5], ": packed data is truncated"),
]  # fmt: skip
BAD_JSON = [
    ("6-surrogate-escape", b'{"text": "a\\ud800", "label": "x"}', "\\ud800 in text is not text"),
    ("6-surrogate-inside", b'{"text": "a", "label": ["\\udfff"]}', "\\udfff in label is not text"),
    ("7-nul-escape", b'{"text": "\\u0000", "label": "x"}', "\\u0000 in text is not text"),
    ("3-duplicate-key", b'{"text": "a", "label": "x", "text": "b"}', "key text occurs twice"),
    ("11-another-key", b'{"text": "a", "lable": "x"}', "key lable is not in the first row"),
    ("11-not-an-object", b'["a", "x"]', "not a JSON object"),
    ("11-cut", b'{"text": "a",', "not JSON at character 14: Expecting property name enclosed in "
     "double quotes"),
    ("26-deep", b'{"text": ' + b"[" * 99_999 + b"]" * 99_999 + b"}",
     "JSON that is nested too deeply"),
    ("26-digits", b'{"text": [' + b"7" * 5000 + b"]}",
     "a number of more than 4,300 digits inside a list or object"),
]  # fmt: skip
REFUSED += [
    Case(f"{name}-jsonl", JSON + line + b"\n", f" line 2: {says}", SKIP_HINT, suffix="jsonl",
         commands=("train-fasttext", "predict"))
    for name, line, says in BAD_JSON
]  # fmt: skip


def each_with_its_commands(found: list[Case]) -> Iterator[ParameterSet]:
    """The first case of a row of the table runs by every command, the others by one: all layers
    below are the same. The rest is for slow runs."""
    seen: set[str] = set()
    for case in found:
        row = case.id.partition("-")[0]
        for name in case.commands:
            first = row not in seen or name == case.commands[min(1, len(case.commands) - 1)]
            marks = () if first else (pytest.mark.slow,)
            yield pytest.param(case, name, id=f"{case.id}-{name}", marks=marks)
        seen.add(row)


@pytest.mark.parametrize(("case", "name"), list(each_with_its_commands(REFUSED)))
def test_refused(nlpcli: Run, tmp_path: Path, case: Case, name: str) -> None:
    path = tmp_path / f"in.{case.suffix}"
    path.write_bytes(case.data)
    target = tmp_path / "target"
    target.mkdir()
    (target / "out.csv").write_text("yesterday")
    done = nlpcli(*command(case, path, target)[name])
    assert (done.code, done.out) == (65, ""), done.err
    assert done.err == f"error: {path}{case.says}\n{case.hint}"
    assert names_in(target) == ["out.csv"]
    assert (target / "out.csv").read_text() == "yesterday"


ACCEPTED = [
    Case("1-header-only", b"text,label\n", rows=(["text", "label"],)),
    Case("3-duplicates-not-needed", b"id,text,,id,\n1,a,2,3,4\n",
         rows=(["id", "text", "", "id", ""], ["1", "a", "2", "3", "4"])),
    Case("4-mark", b"\xef\xbb\xbf" + GOOD, rows=(["text", "label"], ["ok", "x"])),
    Case("4-mark-in-the-middle", GOOD + b"\xef\xbb\xbfa,x\n",
         rows=(["text", "label"], ["ok", "x"], ["\ufeffa", "x"])),
    Case("9-line-ends-in-quotes", b'text,b\r\n"a\nb\r\nc\rd",x\r\n"""q"",",y\r\n',
         rows=(["text", "b"], ["a\nb\r\nc\rd", "x"], ['"q",', "y"])),
    Case("10-cr", b"text,b\ra,x\rb,y", rows=(["text", "b"], ["a", "x"], ["b", "y"])),
    Case("10-cr-cr-lf", b"text,b\r\r\na,x\r\r\nb,y\r\r\n",
         rows=(["text", "b"], ["a", "x"], ["b", "y"])),
    Case("12-blank-text", b'text\n\n"  "\n""\n', rows=(["text"], [""], ["  "], [""])),
    Case("14-long-field", b"text\n" + b"word " * 60_000 + b"\n",
         rows=(["text"], ["word " * 60_000])),
    Case("16-formulas", b'text,b\n=1+1,+a\n-1,@b\n"\tc","\rd"\n',
         rows=(["text", "b"], ["=1+1", "+a"], ["-1", "@b"], ["\tc", "\rd"])),
    Case("16-safe", b'text,=b\n=1+1,+a\n-1,@b\n"\tc","\rd"\n', options=("--spreadsheet-safe",),
         rows=(["text", "'=b"], ["'=1+1", "'+a"], ["'-1", "'@b"], ["'\tc", "'\rd"])),
    Case("78-unknown-words", "text\nqqzx 𝕏 ☃\n".encode(), rows=(["text"], ["qqzx 𝕏 ☃"])),
    Case("6-skipped", GOOD + b"\xe9,x\nb\0,x\nc\nd,y\n", options=("--on-error", "skip", "-q"),
         rows=(["text", "label"], ["ok", "x"], ["d", "y"])),
    Case("3-jsonl-as-written", suffix="jsonl", data=b'{"text": "\\ud83d\\ude00", "n": 1.10}\n'
         b'{"n": 123456789012345678901234567890, "text": null}\n{"text": [1, {"a": "\\n"}], '
         b'"n": true}\n', rows=(["text", "n"], ["😀", "1.10"],
         ["", "123456789012345678901234567890"])),
]  # fmt: skip


@cases(ACCEPTED)
def test_answered(nlpcli: Run, tmp_path: Path, case: Case) -> None:
    path = tmp_path / f"in.{case.suffix}"
    path.write_bytes(case.data)
    done = nlpcli("predict", "-m", "reviews", "--probabilities", path, *case.options)
    assert (done.code, done.err) == (0, "")
    found = table(done.out)
    width = len(case.rows[0])
    assert [row[:width] for row in found][: len(case.rows)] == list(case.rows)
    for row in found[1:]:
        assert sum(map(float, row[-4:])) == pytest.approx(1, abs=1e-5)


def test_1_header_only_is_nothing_to_learn_from(nlpcli: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,label\n \t,x\n")
    for arguments in (
        ["train-fasttext", path, "-o", tmp_path / "model"],
        ["train-fasttext", path, "-o", tmp_path / "model", "--on-error", "skip"],
    ):
        done = nlpcli(*arguments)
        assert (done.code, done.out) == (65, "")
        assert done.err == f"error: {path}: no rows with a text and a label\n"


def test_6_the_line_of_a_bad_byte_is_in_the_rejects(nlpcli: Run, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    data = b'text,b\n"one\ntwo \xe9",x\nok,y\n\xe9,z\n'
    done = nlpcli(
        "predict", "-m", "reviews", "--on-error", "skip", "--rejects", rejects, stdin=data
    )
    assert done.code == 0
    assert [row[0] for row in table(done.out)] == ["text", "ok"]
    found = table(rejects.read_text(encoding="utf-8"))
    assert [row[:2] for row in found[1:]] == [
        ["2", "line 3 byte 5: invalid UTF-8 (0xe9)"],
        ["5", "byte 1: invalid UTF-8 (0xe9)"],
    ]


def test_8_an_unclosed_quote_in_a_stream_comes_after_the_rows_before(nlpcli: Run) -> None:
    data = b"text,b\n" + b"a,b\n" * 5000 + b'"open,c\n' + b"d,e\n" * 300_000
    done = nlpcli("predict", "-m", "reviews", "--max-field", 1, stdin=data)
    assert done.code == 65
    assert len(done.out.splitlines()) == 5001
    assert done.err.startswith("error: <stdin> line 5002: a field of more than 1,048,576")


def test_12_17_79_what_training_says_of_its_rows(tmp_path: Path) -> None:
    labels = ["a,b", 'c"d', "e\nf", "__label__g", "caf\u00e9", "cafe\u0301"]
    out = io.StringIO()
    csv.writer(out).writerows([["text", "label"], *((f"w{i} v", x) for i, x in enumerate(labels))])
    out.write('" ",z\nsame,a\nsame,b\n')
    store = tmp_path / "store"
    done = run_program(store, "train-fasttext", "-", "-o", "m", stdin=out.getvalue())
    assert done.code == 0, done.err
    for said in ("blank", "different labels", "cafe"):
        assert said in done.err, said
    manifest = json.loads((store / "m" / "1" / "manifest.json").read_text())
    assert manifest["labels"] == sorted([*labels, "a", "b"])
    assert manifest["data"]["blank_rows"] == 1
    answers = run_program(store, "predict", "-m", "m", "--only", stdin="text\nw2\nw4 v\n")
    assert [row[0] for row in table(answers.out)[1:]] == ["e\nf", "caf\u00e9"]


def test_17_labels_that_look_alike_are_paired(tmp_path: Path) -> None:
    from nlpcli.data.labelled import read_labelled
    from nlpcli.data.rows import RowFormat

    path = tmp_path / "in.csv"
    path.write_text("text,label\na,caf\u00e9\nb,cafe\u0301\nc,x\nd,K\ne,\u212a\n", encoding="utf-8")
    found = read_labelled(str(path), RowFormat())
    assert found.label_twins == [("K", "\u212a"), ("cafe\u0301", "caf\u00e9")]


UNOPENED = {
    "missing.csv": "No such file or directory",
    "folder": "Is a directory",
    "file/x.csv": "Not a directory",
    "socket": "No such device or address",
    "\x1b[31m\n.csv": "No such file or directory",
    "x" * 300: "File name too long",
}


@pytest.mark.parametrize(
    ("name", "paths"),
    [("predict", [*UNOPENED]), ("eval", ["missing.csv"]), ("train-fasttext", ["folder"])],
)
def test_19_what_cannot_be_opened(nlpcli: Run, tmp_path: Path, name: str, paths: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(GOOD)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path in paths:
            done = nlpcli(*command(Case("", b""), tmp_path / path, tmp_path)[name])
            assert (done.code, done.out) == (66, ""), done.err
            shown = path.replace("\x1b", "\\x1b").replace("\n", "\\n")
            assert done.err == f"error: {tmp_path}/{shown}: {UNOPENED[path]}\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_19_unreadable(nlpcli: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(GOOD)
    path.chmod(0)
    done = nlpcli("predict", "-m", "reviews", path)
    assert (done.code, done.err) == (66, f"error: {path}: Permission denied\n")


def test_19_closed_stdin(models: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{PROGRAM} predict -m reviews <&-"],
        capture_output=True, env=environment(models), cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode in (65, 66), done.stderr
    assert done.stderr.startswith(b"error: <stdin>: ")


def test_19_devices_and_pipes(nlpcli: Run, models: Path, tmp_path: Path) -> None:
    done = nlpcli("predict", "-m", "reviews", "/dev/null")
    assert (done.code, done.err) == (65, "error: /dev/null: empty: no header and no rows\n")
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"text\na\n",))
    writer.start()
    done = nlpcli("predict", "-m", "reviews", pipe)
    writer.join()
    assert (done.code, [row[0] for row in table(done.out)]) == (0, ["text", "a"])


def _appended(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"one more\n")


CHANGES: dict[str, Callable[[Path], None]] = {
    "grows": _appended,
    "shrinks": lambda path: os.truncate(path, path.stat().st_size - 9),
    "is-written-to": lambda path: os.utime(path, ns=(0, 0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_21_a_file_that_changes_meanwhile(models: Path, tmp_path: Path, change: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"text\n" + b"refund " * 9 + b"\n" + b"some text\n" * 600_000)
    with subprocess.Popen(
        [PROGRAM, "predict", "-m", "reviews", path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(models),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"text,")
        CHANGES[change](path)  # the full pipe keeps the program from going on
        _, err = process.communicate(timeout=60)
    assert process.returncode == 65
    assert err.startswith(f"error: {path}: changed while it was read: ".encode())


def test_22_labels_the_model_does_not_know(nlpcli: Run) -> None:
    done = nlpcli("eval", "-m", "reviews", "-", "--json", stdin="text,label\na,zzz\nb,support\n")
    assert done.code == 0
    assert "zzz" in done.err
    document = json.loads(done.out)
    assert document["unknown_labels"] == ["zzz"]
    assert document["per_label"]["zzz"]["recall"] == 0


ENVIRONMENTS = {
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii:strict"},
    "utf-8": {"LC_ALL": "C.UTF-8"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_67_any_locale_gives_the_same_bytes(nlpcli: Run, name: str) -> None:
    data = "text,名\ncafé 我,“x”\n"
    wanted = nlpcli("predict", "-m", "reviews", stdin=data)
    assert nlpcli("predict", "-m", "reviews", stdin=data, **ENVIRONMENTS[name]) == wanted
    named = nlpcli(
        "predict", "-m", "reviews", "--text-column", "名", stdin=data, **ENVIRONMENTS[name]
    )
    assert named.code == 0, named.err
    failed = nlpcli("predict", "-m", "reviews", stdin="täxt\na\n", **ENVIRONMENTS[name])
    assert failed.err.splitlines()[0] == "error: <stdin>: no column text; there: täxt"


def test_69_a_path_of_any_bytes(models: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\xe9"
    os.mkdir(folder)
    source, target, bad = folder + b"/in\xfe.csv", folder + b"/out\xfe.csv", folder + b"/bad\n.csv"
    Path(os.fsdecode(source)).write_bytes(b"text\na\n")
    Path(os.fsdecode(bad)).write_bytes(b"text,b\na\n")

    def run(*arguments: bytes | str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [PROGRAM, *arguments], capture_output=True, env=environment(models), timeout=60
        )

    done = run("predict", "-m", "reviews", source, "-o", target)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")
    assert Path(os.fsdecode(target)).read_bytes().startswith(b"text,predicted_label,")
    done = run("predict", "-m", "reviews", bad, "-o", target)
    said = f"error: {tmp_path}/\\udcff\\udce9/bad\\n.csv line 2: 1 fields, the header has 2\n"
    assert (done.returncode, done.stderr.decode()) == (65, said + SKIP_HINT)
    assert sorted(os.listdir(folder)) == [b"bad\n.csv", b"in\xfe.csv", b"out\xfe.csv"]
    done = run("predict", "-m", "reviews", folder)
    assert (done.returncode, done.stderr.count(b"\n")) == (66, 1)
    done = run("predict", "-m", "reviews", source, "-o", folder)
    assert (done.returncode, done.stderr.count(b"\n")) == (73, 1)


FEW = [
    Case("73-one-class", b"text,label\na,x\nb,x\n", "at least 2 labels are needed, seen: x"),
    Case("73-no-frequent-word", b"text,label\na,x\nb,y\n", "no word occurs 5 times in 2 texts",
         options=("--min-count", 5)),
    Case("75-one-row", b"text,label\na,x\n", "at least 2 labels are needed, seen: x"),
    Case("85-long-ngrams", GOOD, "--max-n", options=("--max-n", 50)),
    Case("85-long-runs", GOOD, "--word-ngrams", options=("--word-ngrams", 50)),
]  # fmt: skip


@cases(FEW)
def test_too_little_to_train_on(nlpcli: Run, tmp_path: Path, case: Case) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(case.data)
    done = nlpcli("train-fasttext", path, "-o", tmp_path / "model", *case.options)
    assert (done.code, done.out) == (2 if case.id.startswith("85") else 65, "")
    assert case.says in done.err.splitlines()[0]
    assert names_in(tmp_path) == ["in.csv"]


def test_74_75_two_rows_and_a_class_that_dev_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("text,label\ngood,x\n")
    done = run_program(
        tmp_path / "store", "train-fasttext", "-", "-o", "m", "--dev", tmp_path / "dev.csv",
        "--json", stdin="text,label\ngood,x\nbad,y\n",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "NaN" not in done.out
    assert json.loads(done.out)["metrics"]["accuracy"] == 1


def test_82_one_long_field(nlpcli: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"text\n" + b"refund card " * 400_000 + b"\n")
    done = nlpcli("predict", "-m", "reviews", path)
    assert done.code == 0
    assert table(done.out)[1][0] == "refund card " * 400_000


def test_87_a_bad_row_late_in_a_stream(nlpcli: Run, tmp_path: Path) -> None:
    data = b"text,b\n" + b"refund,1\n" * 30_000 + b"bad\n" + b"a,1\n" * 1000
    done = nlpcli("predict", "-m", "reviews", stdin=data)
    assert done.code == 65
    assert len(done.out.splitlines()) == 30_001
    assert done.err == f"error: <stdin> line 30002: 1 fields, the header has 2\n{SKIP_HINT}"
    target = tmp_path / "out.csv"
    assert nlpcli("predict", "-m", "reviews", "-o", target, stdin=data).code == 65
    assert os.listdir(tmp_path) == []


def test_88_what_unpacks_without_end(nlpcli: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv.xz"
    member = lzma.compress(b"x" * (8 << 20) + b"\n")
    path.write_bytes(lzma.compress(b"text,b\n") + member * 36)
    done = nlpcli("predict", "-m", "reviews", "--on-error", "skip", path)
    assert (done.code, done.out) == (65, "text,b,predicted_label,predicted_probability\n")
    assert "wanted at most 1,000 times as many" in done.err
    assert f"error: {path}: " in done.err
    twice = lzma.compress(lzma.compress(GOOD))
    assert "invalid UTF-8" in nlpcli("predict", "-m", "reviews", stdin=twice).err
