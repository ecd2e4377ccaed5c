"""finetune --task qa, and what predict and eval make of its models."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nlpcli.formats.hf_folder import hf_files

from ..formats.bert_folder import TINY, TOKENIZER, random_weights, written
from .conftest import SAMPLES, Run, run_program, stop_and_resume
from .test_contract import SCHEMAS, complaints
from .test_eval_report import data as page_data

FAST = ["--lr", "0.01", "--batch-size", "8", "--precision", "fp32", "--threads", "1",
        "--dropout", "0", "--max-length", "16", "--max-answer-length", "4"]  # fmt: skip


def squad(n: int, seed: int, *, unanswerable: float = 0.0) -> bytes:
    """What is there but a's and b's? The cat, or the Chinese word; some contexts need windows."""
    drawn, paragraphs = Random(seed), []
    for number in range(n):
        words = [drawn.choice(["a", "B", "bs", "the"]) for _ in range(drawn.randrange(3, 25))]
        answers: list[dict[str, Any]] = []
        if drawn.random() >= unanswerable:
            words.insert(drawn.randrange(len(words) + 1), drawn.choice(["Cat", "中"]))
        context = "  ".join(words)
        for text in ("Cat", "中"):
            if text in context:
                answers.append({"text": text, "answer_start": context.index(text)})
        asked = {"id": f"q{number}", "question": "the cat?", "answers": answers,
                 "is_impossible": not answers}  # fmt: skip
        paragraphs.append({"context": context, "qas": [asked]})
    return json.dumps({"data": [{"paragraphs": paragraphs}]}, ensure_ascii=False).encode()


def begin(folder: Path) -> Run:
    """Runs the program over an empty store, beside an encoder and questions."""
    (folder / "store").mkdir()
    sizes = dataclasses.replace(TINY, n_layers=1, hidden=32, intermediate=64)
    weights = random_weights("BertModel", sizes)
    for name, array in weights.items():
        if name.endswith("LayerNorm.weight"):
            array[:] = 1  # as encoders begin: it then learns at once
    files = hf_files(sizes, weights, TOKENIZER, architecture="BertModel")
    written(folder / "encoder", files)
    (folder / "train.json").write_bytes(squad(80, 1))
    (folder / "few.json").write_bytes(squad(16, 4))
    (folder / "dev.json").write_bytes(squad(30, 2))
    (folder / "some.json").write_bytes(squad(120, 3, unanswerable=0.3))
    return lambda *arguments, **more: run_program(folder / "store", *arguments, **more)


@pytest.fixture
def place(tmp_path: Path) -> Run:
    """With nothing trained."""
    return begin(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With ``t``, which always answers, and ``n``, which need not."""
    run = begin(tmp_path_factory.mktemp("trained"))
    for name, file in (("t", "train.json"), ("n", "some.json")):
        dev = "dev.json" if name == "t" else file
        done = run("finetune", file, "--from", "./encoder", "-o", name, "--dev", dev, "--epochs",
                   "2", *FAST, "--json")  # fmt: skip
        assert done.code == 0, done.err
        report = json.loads(done.out)
        assert report["metrics"]["f1"] > 0.9, report
        assert report["windows"] > report["rows"] and report["labels"] == 0
        assert (report["null_threshold"] is None) == (name == "t")
        assert "--task qa, by the input's columns" in done.err
        assert "contexts of more than one window" in done.err
        assert ("questions without an answer" in done.err) == (name == "n")
    return run


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_eval_is_what_training_measured(trained: Run) -> None:
    done = trained("eval", "-m", "t", "dev.json", "--json")
    document = json.loads(done.out)
    schema = json.loads((SCHEMAS / "eval-questions.json").read_bytes())
    assert complaints(document, schema, schema["define"]) == []
    assert document["n"] == 30 == document["has_answer"] and document["units"] == "words"
    manifest = json.loads(trained("models", "show", "t", "--json").out)
    for name in ("exact_match", "f1"):
        assert document[name]["value"] == pytest.approx(manifest["metrics"][name])
        value, low, high = (document[name][key] for key in ("value", "low", "high"))
        assert value == 1 if low is None else low <= value <= high
    document = json.loads(trained("eval", "-m", "n", "some.json", "--json").out)
    assert complaints(document, schema, schema["define"]) == []
    assert document["no_answer"] > 10 and document["no_answer_f1"]["value"] > 0.8
    done = trained("eval", "-m", "n", "some.json", "--fail-under", "has_answer_f1=0.5")
    assert done.code == 0 and "of them without an answer; compared by words" in done.out
    assert trained("eval", "-m", "t", "dev.json", "--fail-under", "f1=1.1").code == 1


def test_answers_stand_in_their_contexts(trained: Run) -> None:
    for model, file in (("t", "dev.json"), ("n", "some.json")):
        rows = table(trained("predict", "-m", model, file, "--top-k", "3").out)
        assert list(rows[0])[:4] == ["id", "question", "context", "answers"]
        right = 0
        for row in rows:
            golds = [answer["text"] for answer in json.loads(row["answers"])] or [""]
            right += row["predicted_answer"] in golds
            texts, sum_ = [], 0.0
            for tail in ("", "_2", "_3"):
                text, start = row["predicted_answer" + tail], row["answer_start" + tail]
                if not start:
                    continue
                if start == "-1":
                    assert not text and model == "n"
                else:
                    assert text and row["context"][int(start) :][: len(text)] == text
                texts.append(text)
                sum_ += float(row["predicted_probability" + tail])
            assert len(set(texts)) == len(texts) and sum_ <= 1 + 2e-6
        assert right / len(rows) > 0.8
        assert any(row["predicted_answer"] == "" for row in rows) == (model == "n")


def test_rows_of_all_kinds_and_formats(trained: Run) -> None:
    rows = (
        'n,question,context\n1,the cat?,"a b\nCat a"\n2,,a cat\n3,the cat?,\n4, ,  \n'
        '5,the cat?,a b 中 b\n1,the cat?,"a b\nCat a"\n6,the cat?,\x1e a\x1ecat \u200b!\n'
    )
    done = trained("predict", "-m", "t", stdin=rows)
    assert (done.code, done.err) == (0, ""), done.err
    found = table(done.out)
    assert [row["n"] for row in found] == ["1", "2", "3", "4", "5", "1", "6"]
    assert found[0]["predicted_answer"] == "Cat" and found[0]["answer_start"] == "4"
    assert found[0] == found[5]
    for row in found:
        if row["n"] in "34":
            assert (row["predicted_answer"], row["answer_start"]) == ("", "-1")
            assert float(row["predicted_probability"]) == 1
        else:
            start = int(row["answer_start"])
            assert row["context"][start:].startswith(row["predicted_answer"]) and start >= 0
    alone = trained("predict", "-m", "t", "--line-buffered", stdin=rows)
    assert [row["predicted_answer"] for row in table(alone.out)] == [
        row["predicted_answer"] for row in found
    ]
    lines = '{"text": "a Cat", "q": "the?", "answer_start": 2}\n'
    done = trained(
        "predict",
        "-m",
        "t",
        "-",
        "--format",
        "jsonl",
        "--output-format",
        "jsonl",
        "--text-b-column",
        "q",
        "--prefix",
        "my_",
        "--top-k",
        "20",
        stdin=lines,
    )
    row = json.loads(done.out)
    assert (row["my_answer"], row["my_answer_start"], row["answer_start"]) == ("Cat", 2, 2)
    assert row["my_answer_start_20"] is None and row["my_probability_20"] is None
    done = trained("predict", "-m", "t", "-", "--format", "jsonl", "--text-b-column", "q",
                   stdin=lines)  # fmt: skip
    assert done.code == 65 and "has a column answer_start already" in done.err


def test_answers_are_compared_and_read_from_files(trained: Run, tmp_path: Path) -> None:
    page, file = tmp_path / "report.html", tmp_path / "p.csv"
    file.write_text(trained("predict", "-m", "n", "some.json").out)
    done = trained("eval", "-m", "t", "some.json", "--predictions", file, "--no-cost", "--json",
                   "--report", page)  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(done.out)
    [pair] = document["comparisons"]
    assert (pair["metric"], pair["right_or_wrong"], pair["n"]) == ("exact_match", True, 120)
    # t always answers, a third of the questions has no answer
    assert (pair["verdict"], document["best"]) == ("better", str(file))
    gap = pair["difference"]
    assert gap["exact_match"]["p"] < 1e-4 and gap["f1"]["low"] > 0
    each = [model["exact_match"]["value"] for model in document["models"]]
    assert gap["exact_match"]["value"] == pytest.approx(each[1] - each[0])
    own = json.loads(trained("eval", "-m", "n", "some.json", "--json").out)
    assert {**own, "model": str(file)} == document["models"][1]
    found = page_data(page)
    assert found["free"] and found["judged"] and found["score"] == ["F1", False]
    assert found["rows"]["text"][0].startswith("the cat?\n")
    for model, share in zip(found["models"], each, strict=True):
        assert sum(model["right"]) / 120 == pytest.approx(share)
    answers = [found["labels"][i] for i in found["models"][1]["guess"]]
    rows = [row["predicted_answer"] or "(none)" for row in table(file.read_text())]
    assert answers == rows
    same = trained("eval", "-m", "t", "-m", "t@1", "dev.json", "--no-cost", "--require-better")
    assert same.code == 1 and "t@1 and t are right on the same rows" in same.out


def test_questions_in_slices(trained: Run, tmp_path: Path) -> None:
    rows = ["question,context,answer,side"]
    rows += [f"the cat?,a b {word} b,{word},{word}" for word in ("Cat", "中") for _ in range(9)]
    rows += ["the cat?,a b,b,none"] * 9
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    line = ["eval", "-m", "n", tmp_path / "rows.csv", "--slice-by", "side", "--slice-rows", "5"]
    done = trained(*line, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)["slices"]
    assert found["metric"] == "exact_match"
    parts = {part["name"]: part["rows"] for part in found["by"]["column side"]}
    assert parts == {"Cat": 9, "none": 9, "中": 9}
    assert "by side" in trained(*line).out


def test_answers_by_id(trained: Run) -> None:
    done = trained("predict", "-m", "t", "dev.json", "--output-format", "squad")
    rows = table(trained("predict", "-m", "t", "dev.json").out)
    assert json.loads(done.out) == {row["id"]: row["predicted_answer"] for row in rows}
    done = trained(
        "predict", "-m", "t", "--output-format", "squad", stdin="question,context\na,b\n"
    )
    assert done.code == 65 and "no column id" in done.err


def test_the_folder_of_another_program_answers_as_ours(trained: Run) -> None:
    folder = Path(json.loads(trained("models", "show", "t", "--json").out)["path"])
    plain = folder.parent.parent.parent / "plain"
    written(plain, {name: (folder / name).read_bytes() for name in
                    ("config.json", "model.safetensors", "tokenizer.json")})  # fmt: skip
    text = "question,context\nthe cat?,a b the Cat bs\n"
    ours = trained("predict", "-m", "t", stdin=text)
    theirs = trained("predict", "-m", "./plain", stdin=text)
    assert (theirs.code, theirs.out.split(",")[:5]) == (0, ours.out.split(",")[:5]), theirs.err
    assert trained("models", "import", "./plain", "imported").code == 0
    assert trained("predict", "-m", "imported", stdin=text).out == theirs.out
    assert trained("eval", "-m", "./plain", "dev.json", "--fail-under", "f1=0.5").code == 0


@pytest.mark.filterwarnings("ignore")
def test_transformers_has_the_same_logits_and_answer(trained: Run) -> None:
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")
    import torch

    folder = Path(json.loads(trained("models", "show", "t", "--json").out)["path"])
    model, loading = transformers.AutoModelForQuestionAnswering.from_pretrained(
        folder, output_loading_info=True, local_files_only=True
    )
    assert not any(loading.values())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    question, context = "the cat?", "a b the 中 bs"
    batch = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    spans = batch.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        found = model.eval()(**batch)
    second = batch["token_type_ids"][0].nonzero()[:-1, 0].tolist()
    pairs = [(a, b) for a in second for b in second if a <= b < a + 4]
    start, end = found.start_logits[0], found.end_logits[0]
    scores = torch.stack([start[a] + end[b] for a, b in pairs]).double()
    first, last = pairs[int(scores.argmax())]
    text = f"question,context\n{question},{context}\n"
    row = table(trained("predict", "-m", "t", "--precision", "fp32", stdin=text).out)[0]
    assert row["predicted_answer"] == context[spans[first][0] : spans[last][1]] == "中"
    assert int(row["answer_start"]) == spans[first][0]
    wanted = float(scores.softmax(0).max())
    assert float(row["predicted_probability"]) == pytest.approx(wanted, abs=2e-6)


@pytest.mark.slow
def test_what_an_answer_costs(trained: Run) -> None:
    done = trained("eval", "-m", "t", "dev.json", "--json", "--measure-cost", "--threads", "1")
    assert (done.code, done.err) == (0, "")
    cost = json.loads(done.out)["cost"]
    assert cost["startup_seconds"] > 0 and cost["latency_p50_ms"] > 0


@pytest.mark.slow
def test_the_same_bytes_again_and_after_a_rival(place: Run, tmp_path: Path) -> None:
    command: list[Any] = ["finetune", "few.json", "--from", "./encoder", "--epochs", "1", *FAST]
    for name in ("one", "two"):
        assert place(*command, "-o", name).code == 0
    one, two = ((tmp_path / "store" / n / "1" / "model.safetensors").read_bytes()
                for n in ("one", "two"))  # fmt: skip
    assert one == two
    again = place(*command, "-o", "one", "--publish-if", "better")
    assert again.code == 1 and "f1 is" in again.err
    assert place(*command, "-o", "two", "--if-changed").code == 0
    plan = json.loads(place(*command, "-o", "three", "--dry-run", "--json").out)
    assert plan["steps"] == -(-plan["windows"] // 8) and plan["windows"] > plan["rows"]
    head = place("finetune", "few.json", "--from", "two", "-o", "two", "--freeze", "all",
                 "--epochs", "2", "--batch-size", "8", "--max-length", "16")  # fmt: skip
    assert head.code == 0 and "its features are computed once" in head.err, head.err
    more = place("finetune", "few.json", "--from", "two", "-o", "two", "--epochs", "1",
                 "--label-smoothing", "0.1", "--focal", "1", *FAST)  # fmt: skip
    assert more.code == 0, more.err


@pytest.mark.slow
def test_stopped_and_taken_up(place: Run, tmp_path: Path) -> None:
    line = ["finetune", "few.json", "--from", "./encoder", "--epochs", "15", *FAST]
    whole = place(*line, "-o", "./whole")
    assert whole.code == 0, whole.err
    stop_and_resume(place, [*line], tmp_path)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "again")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--long", "head-tail"], 2, "--long has no meaning for --task qa"),
        (["--crf"], 2, "--crf has no meaning for --task qa"),
        (["--task", "sequence", "--doc-stride", "3"], 2, "--doc-stride has no meaning for --task"),
        (["--publish-if", "macro_f1>0"], 2, "no metric macro_f1; there: exact_match, f1"),
        (["--text-column", "contxt"], 65, "train.json: no column contxt; there: id, question"),
        (["--task", "qa", "--format", "jsonl"], 65, "train.json: no column context; there: data"),
    ],
)
def test_what_cannot_be(place: Run, options: list[str], code: int, said: str) -> None:
    done = place("finetune", "train.json", "--from", "./encoder", "-o", "t", *FAST, *options)
    assert done.code == code and said in done.err, done.err


def test_answers_that_do_not_stand_there(trained: Run, tmp_path: Path) -> None:
    document = json.loads(squad(40, 5))
    for paragraph in document["data"][0]["paragraphs"][3:6]:
        paragraph["qas"][0]["answers"][0]["answer_start"] += 1
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(document))
    command = ["finetune", bad, "--from", "./encoder", "-o", "b", "--epochs", "1", *FAST]
    for line in (command, ["eval", "-m", "t", bad]):
        done = trained(*line)
        assert done.code == 65 and f"{bad} question q3: answer_start " in done.err, done.err
        assert done.err.count("error:") == 1 and "hint: --on-error skip" in done.err
        rejects = tmp_path / "rejects.csv"
        done = trained(*line, "--on-error", "skip", "--rejects", rejects)
        assert done.code == 0 and "3 bad rows skipped" in done.err, done.err
        rows = table(rejects.read_text())
        assert [row["line"] for row in rows] == ["4", "5", "6"]
        assert rows[0]["reason"].startswith("question q3: answer_start ")


@pytest.mark.parametrize("model", ["t", "n"])
def test_a_threshold_of_no_answer_is_heeded(trained: Run, model: str) -> None:
    usual, never, always = (
        table(trained("predict", "-m", model, "some.json", *more).out)
        for more in ([], ["--threshold", "1e5"], ["--threshold=-1e5"])
    )
    assert {row["answer_start"] for row in always} == {"-1"}
    assert all(row["predicted_answer"] for row in never)
    if model == "t":  # which always answers
        answers = [row["predicted_answer"] for row in usual]
        assert [row["predicted_answer"] for row in never] == answers
    done = trained("eval", "-m", model, "some.json", "--threshold=-1e5", "--json")
    document = json.loads(done.out)
    assert document["exact_match"]["value"] == document["no_answer"] / document["n"], done.err


def test_what_a_model_for_questions_has_no_use_for(trained: Run) -> None:
    text = "question,context\na,b\n"
    for options, said in {
        ("--threshold", "nan"): "--threshold nan: wanted a number",
        ("--threshold", "inf"): "--threshold inf: wanted a number",
        ("--probabilities",): "--probabilities",
        ("--output-format", "conll"): "--output-format conll",
    }.items():  # fmt: skip
        done = trained("predict", "-m", "t", *options, stdin=text)
        assert done.code == 2 and said in done.err, done.err
    done = trained("predict", "-m", "t", stdin="text\na\n")
    assert done.code == 65 and "no column question; there: text" in done.err
    done = trained("eval", "-m", "t", "-", stdin="question,context\na,b\n")
    assert done.code == 65 and "no column answer" in done.err
    none = squad(3, 1, unanswerable=1.0)
    done = trained(
        "finetune", "-", "--format", "squad", "--from", "./encoder", "-o", "z", stdin=none
    )
    assert done.code == 65 and "no question has an answer" in done.err


def test_the_sample(trained: Run) -> None:
    done = trained("eval", "-m", "n", SAMPLES / "questions_en.json", "--json")
    document = json.loads(done.out)
    assert (document["n"], document["no_answer"]) == (10, 2)
