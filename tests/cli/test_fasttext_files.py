"""Files of the fastText program where a model is asked for."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..formats.program import made_up_lines, needs_program, quantise, run, train
from ..formats.written import HS, OVA, Spec, answer
from .conftest import Run

WORDS = [b"</s>", b"good", b"bad", "好".encode()]
LABELS = [b"__label__yes", b"__label__no", b"__label__maybe"]
ROWS = 'id,text\n1,good bad\n2,\n3,好 unknown\n4,"good\nbad"\n'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ftz"
    path.write_bytes(Spec(WORDS, LABELS, word_ngrams=2, bucket=7, dsub=2).to_bytes())
    return path


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_predict_takes_the_file_as_it_is(fresh: Run, model: Path) -> None:
    done = fresh("predict", "-m", model, "--probabilities", stdin=ROWS)
    assert (done.code, done.err) == (0, "")
    got = cells(done.out)
    each = [f"predicted_probability:{name}" for name in ("yes", "no", "maybe")]
    assert got[0] == ["id", "text", "predicted_label", "predicted_probability", *each]
    spec = Spec(WORDS, LABELS, word_ngrams=2, bucket=7, dsub=2)
    for row in got[1:]:
        wanted = answer(spec, row[1])
        assert [float(cell) for cell in row[4:]] == pytest.approx(wanted, abs=1e-6)
        assert row[2] == ("yes", "no", "maybe")[wanted.index(max(wanted))]
    assert got[1][2:] == got[4][2:]  # a newline in a cell is a space


def test_a_file_is_known_by_its_content_and_a_name_of_the_store_goes_first(
    fresh: Run, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "lid").write_bytes(model.read_bytes())  # in the runs' working folder
    assert fresh("predict", "-m", "lid", "--only", stdin=ROWS).code == 0
    assert fresh("predict", "-m", "./lid", "-v", stdin=ROWS).err.startswith("model lid: 3 labels")
    (tmp_path / "store" / "lid" / "1").mkdir(parents=True)
    done = fresh("predict", "-m", "lid", stdin=ROWS)
    assert done.code == 65 and "manifest.json" in done.err


def test_one_vs_all_answers_with_several_labels(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "many.bin"
    path.write_bytes(Spec(WORDS, LABELS, loss=OVA).to_bytes())
    done = fresh("predict", "-m", path, "--threshold", 0, "--only", stdin="text\ngood\n")
    header, row = cells(done.out)
    assert header == ["predicted_labels", "predicted_probabilities"]
    assert set(row[0].split(";")) == {"yes", "no", "maybe"}
    labelled = "text,label\ngood,yes;no\nbad,\n"
    measured = fresh("eval", "-m", path, "-", "--json", stdin=labelled)
    assert json.loads(measured.out)["n"] == 2


def test_eval_measures_the_file(fresh: Run, tmp_path: Path) -> None:
    path = tmp_path / "tree.bin"
    path.write_bytes(Spec(WORDS, LABELS, loss=HS).to_bytes())
    texts = ["good", "bad", "好"]
    names = ["yes", "no", "maybe"]
    spec = Spec(WORDS, LABELS, loss=HS)
    labelled = "".join(
        f"{text},{names[values.index(max(values))]}\n"
        for text, values in ((text, answer(spec, text)) for text in texts)
    )
    done = fresh("eval", "-m", path, "-", "--json", stdin="text,label\n" + labelled)
    assert json.loads(done.out)["accuracy"]["value"] == 1


def test_show_and_verify(fresh: Run, model: Path, tmp_path: Path) -> None:
    told = json.loads(fresh("models", "show", model, "--json").out)
    assert told["kind"] == "fasttext-file" and told["labels"] == ["yes", "no", "maybe"]
    assert told["arguments"]["word_ngrams"] == 2 and told["quantised"]
    assert "labels: yes, no, maybe\n" in fresh("models", "show", model).out
    assert fresh("models", "verify", model).out == f"{model}: ok\n"
    vectors = tmp_path / "vectors.bin"
    vectors.write_bytes(Spec(WORDS, [], model=1, loss=2).to_bytes())
    assert json.loads(fresh("models", "show", vectors, "--json").out)["labels"] == []


def test_what_is_no_classifier_is_refused_in_one_line(
    fresh: Run, model: Path, tmp_path: Path
) -> None:
    bad = {
        "vectors.bin": (Spec(WORDS, [], model=2, loss=2).to_bytes(), "word vectors (skipgram)"),
        "cut.ftz": (model.read_bytes()[:-9], "truncated"),
        "rows.csv": (ROWS.encode(), "neither a model folder nor a fastText file"),
    }
    for name, (data, message) in bad.items():
        path = tmp_path / name
        path.write_bytes(data)
        done = fresh("predict", "-m", path, stdin=ROWS)
        assert (done.code, done.out) == (65, "")
        assert done.err.startswith(f"error: {path}: ") and message in done.err
        assert done.err.count("\n") == 1
    assert fresh("predict", "-m", tmp_path / "none.bin", stdin=ROWS).code == 66


def test_torch_stays_away(model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nlpcli.formats.fasttext_model import "
        f"open_fasttext; open_fasttext(Path({str(model)!r})).probabilities(['a']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_model_is_not_written_over(fresh: Run, model: Path) -> None:
    before = model.read_bytes()
    done = fresh("predict", "-m", model, "-o", model, stdin=ROWS)
    assert done.code == 2 and "the same file as --model" in done.err
    assert model.read_bytes() == before


@needs_program
def test_the_program_says_the_same(fresh: Run, tmp_path: Path) -> None:
    train(tmp_path, "-minn", 2, "-maxn", 3, "-wordNgrams", 2)
    path = quantise(tmp_path, "-qnorm", "-cutoff", 600, "-retrain")
    lines = made_up_lines(100, 6, known=0.8)
    data = "".join(line + "\n" for line in lines)
    said = [row.split(" ") for row in run("predict-prob", path, "-", data=data).splitlines()]
    table = io.StringIO()
    csv.writer(table).writerows([["text"], *([line] for line in lines)])
    done = fresh("predict", "-m", path, "--only", stdin=table.getvalue())
    got = cells(done.out)[1:]
    assert len(got) == len(said) == len(lines)
    for (label, chance), (theirs, printed) in zip(got, said, strict=True):
        assert float(chance) == pytest.approx(float(printed) - 1e-5, abs=7e-6)
        assert f"__label__{label}" == theirs or float(chance) < 0.5
