"""The report of eval: what is in the page, and, where there is a browser, what it does."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.evaluation import report_page as module
from nlpcli.evaluation.calibration import expected_calibration_error
from nlpcli.evaluation.metrics import evaluate_answers, evaluate_single
from nlpcli.evaluation.report_page import Answers, Reported, RowsSeen, embedded, reliability
from nlpcli.evaluation.report_page import report_page as made

from .test_word_map import NASTY, Tags

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
LABELS = ["a", "b </script><i>", "c,d"]
N = 90


def rows(n: int = N, seed: int = 3) -> tuple[Any, Any]:
    """True labels, and probabilities that are right a little too seldom."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, len(LABELS), n)
    logits = rng.standard_normal((n, len(LABELS))) + 1.5 * np.eye(len(LABELS))[true]
    odds = np.exp(2 * logits)
    return true, odds / odds.sum(axis=1, keepdims=True)


def reported(name: str = "one", n: int = N, **more: Any) -> Reported:
    true, probabilities = rows(n)
    guess = probabilities.argmax(axis=1)
    document = evaluate_single(true, guess, probabilities, LABELS, resamples=20)
    cells = [(label,) for label in LABELS]
    sure = probabilities.max(axis=1)
    return Reported(
        name, {**document, **more}, {"data": {"file": NASTY[0]}}, Answers(cells, true, guess, sure)
    )


def texts(n: int = N) -> list[str]:
    return [*NASTY, "x" * 700, *(f"text number {i}" for i in range(len(NASTY) + 1, n))]


def page(*models: Reported, n: int = N, compared: dict[str, Any] | None = None) -> str:
    tested = RowsSeen({"rows": "test.csv"}, texts(n), [i + 2 for i in range(n)])
    return made("<b>one</b>", models or (reported(n=n),), tested, compared)


def data(text: str) -> Any:
    return json.loads(Tags(text).scripts[0])


CHARACTERS = st.characters() | st.sampled_from("<>&/!-\u2028\u2029\ud800\udc00'\"\\")


@settings(max_examples=300, deadline=None)
@given(st.text(CHARACTERS))
def test_any_text_comes_back_and_none_can_end_the_script(text: str) -> None:
    found = embedded([text, {text: 1.5}])
    assert not set(found) & set("<>&\u2028\u2029")
    found.encode("utf-8")
    same = json.loads(json.dumps(text))  # JSON joins the two halves of a pair
    assert json.loads(found) == [same, {same: 1.5}]


def test_no_number_is_embedded_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded(float("nan"))


def test_it_holds_what_was_measured() -> None:
    model = reported()
    found = data(page(model))
    part = found["models"][0]
    metrics = {name: values for name, *values in part["metrics"]}
    assert metrics["accuracy"][0] == pytest.approx(model.document["accuracy"]["value"], rel=1e-5)
    assert "confusion" not in metrics and "n" not in metrics
    matrix = np.zeros((3, 3), int)
    for i, j, count in part["confusion"]["cells"]:
        matrix[i, j] = count
    assert matrix.tolist() == model.document["confusion"]["matrix"]
    cells = part["confusion"]["cells"]
    many = {"labels": part["confusion"]["labels"], "matrix": None, "cells": cells}
    again = replace(model, document={**model.document, "confusion": many})
    assert data(page(again))["models"][0]["confusion"] == part["confusion"]
    true, probabilities = rows()
    assert [found["labels"][i] for i in found["rows"]["true"]] == [LABELS[i] for i in true]
    assert [found["labels"][i] for i in part["guess"]] == [
        LABELS[i] for i in probabilities.argmax(axis=1)
    ]
    assert part["sure"] == [round(1000 * p) for p in probabilities.max(axis=1)]
    assert found["rows"]["line"] == list(range(2, N + 2)) and found["n"] == N
    assert found["rows"]["text"][: len(NASTY)] == NASTY and found["cut"] == 500
    assert found["rows"]["text"][len(NASTY)] == "x" * 499 + "…"
    wrong = float((probabilities.argmax(axis=1) != true).mean())
    assert part["risk"][-1][1:] == [1.0, round(wrong, 4)]


def test_the_bins_are_those_of_the_calibration_error() -> None:
    true, probabilities = rows(4000)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    bins = reliability(sure, right)
    error = sum(n * abs(share - mean) for _, n, mean, share, *_ in bins) / 4000
    assert error == pytest.approx(expected_calibration_error(sure, right), abs=2e-5)
    assert sum(n for _, n, *_ in bins) == 4000
    assert all(low <= share <= high for *_, share, low, high in bins)


def test_texts_are_escaped_and_nothing_is_asked_for() -> None:
    text = page()
    found = Tags(text)
    names = [tag for tag, _ in found.tags]
    assert names.count("script") == 2 and "img" not in names and "i" not in names
    assert "&lt;b&gt;one&lt;/b&gt;" in text and "&lt;/script&gt;&lt;img" in text
    addresses = [a[k] for _, a in found.tags for k in ("src", "href", "action") if k in a]
    assert addresses == ["data:,", "#examples"]
    assert re.findall(r"(?:https?:)?//[\w.]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    policy = next(a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'")


def abstaining() -> Reported:
    """Of 90 rows a third is not answered; confidences are at the borders of bins."""
    names = ["a", "b", ""]
    true, guess = np.arange(N) % 2, np.arange(N) % 3
    sure = np.where(guess == 2, 0.0, (1 + np.arange(N) % 15) / 15 + 4e-4 * (np.arange(N) % 2))
    sure = np.minimum(sure, 1.0)
    document = evaluate_answers(true, guess, names, confidence=sure, silence=2, resamples=20)
    cells = [(name,) for name in names]
    confidence = np.where(guess == 2, np.nan, sure)
    return Reported("one", document, {}, Answers(cells, true, guess, confidence))


def test_rows_without_an_answer_have_a_name() -> None:
    found = data(page(abstaining()))
    part = found["models"][0]
    assert part["confusion"]["labels"] == ["a", "b", "(no answer)"]
    assert "" not in found["labels"]
    silent = found["labels"].index("(no answer)")
    assert [i for i, guess in enumerate(part["guess"]) if guess == silent] == list(range(2, N, 3))


def test_each_row_is_in_the_bin_that_counts_it() -> None:
    part = data(page(abstaining()))["models"][0]
    assert part["bin"][2] is None and part["sure"][2] is None
    counted = {bin: part["bin"].count(bin) for bin in set(part["bin"]) - {None}}
    assert counted == {bin: n for bin, n, *_ in part["bins"]}
    assert sum(counted.values()) == N * 2 // 3


def test_of_many_rows_a_sample_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 30)
    found = data(page())
    lines = found["rows"]["line"]
    assert len(lines) == len(set(lines)) == 30 and lines == sorted(lines) and found["n"] == N
    truth = [LABELS[rows()[0][i - 2]] for i in lines]
    assert [found["labels"][i] for i in found["rows"]["true"]] == truth
    assert found["models"][0]["bins"] == data_bins()
    assert data(page()) == found


def data_bins() -> list[list[float]]:
    true, probabilities = rows()
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == true)


def test_long_texts_are_cut_shorter_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALL_CHARACTERS", 1200)
    found = data(page())
    assert 80 <= found["cut"] < 500
    assert max(map(len, found["rows"]["text"])) == found["cut"]


def test_models_share_labels_and_rows() -> None:
    first, true = reported(), rows()[0]
    cells = [(LABELS[2],), (LABELS[0], LABELS[1]), ()]
    # the same truth in another order, and answers of another kind
    other = Reported("two", {"n": N, "accuracy": {"value": 0.0}}, {}, Answers(
        cells, np.where(true == 2, 0, 1), np.full(N, 2), None))  # fmt: skip
    found = data(page(first, other, compared={"comparisons": [], "best": "one"}))
    assert {found["labels"][i] for i in found["models"][1]["guess"]} == {"(none)"}
    assert found["models"][1]["sure"] is None and found["models"][1]["bins"] is None
    assert found["compared"]["best"] == "one" and "a, b </script><i>" in found["labels"]


def test_a_model_without_answers_to_rows() -> None:
    model = Reported("vectors", {"n": 3, "spearman": {"value": None, "low": None, "high": None}})
    found = data(made("vectors", [model], RowsSeen({}), None))
    assert found["rows"]["true"] == [] and found["models"][0]["metrics"] == [
        ["spearman", None, None, None]
    ]


DRIVER = r"""
<script>
const said = [];
addEventListener("error", (event) => said.push("error: " + event.message));
const wait = () => new Promise((done) => setTimeout(done, 60));
const there = () => [...document.querySelectorAll("section")].filter((one) => !one.hidden);
const numbers = () => byId("count").textContent.split(" of")[0];
const key = (node, name) =>
  node.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const cells = () => [...document.querySelectorAll("td[data-true]")];
(async () => {
  await wait();
  said.push("from the address: " + numbers() + " " + byId("show").value);
  const wrong = models[0].guess.filter((guess, i) => guess !== rows.true[i]).length;
  said.push("wrong ones: " + (numbers() === String(wrong)));
  said.push("sections: " + there().map((one) => one.id).join(" "));
  const cell = cells().find((one) => one.dataset.true === "a" && one.dataset.guess === "c,d");
  cell.click();
  said.push("cell: " + (numbers() === cell.textContent) + " " + location.hash);
  said.push("only its rows: " + [...document.querySelectorAll("#list .said")].every((one) =>
    one.textContent.includes("truth: a✗ one: c,d")));
  said.push("chosen: " + cell.getAttribute("aria-selected"));
  said.push("in focus: " + document.activeElement.id);
  cells()[0].focus();
  key(cells()[0], "ArrowRight");
  said.push("moved: " + (document.activeElement === cells()[1]) + " " + cells()[0].tabIndex);
  key(cells()[1], "Enter");
  said.push("entered: " + state.true + " " + (state.guess === cells()[1].dataset.guess));
  location.hash = "#q=TEXT+NUMBER&page=1";
  await wait();
  said.push("searched: " + numbers() + ", marks " + document.querySelectorAll("mark").length +
    ", " + byId("page").textContent);
  byId("after").click();
  said.push("next: " + byId("page").textContent);
  location.hash = "#q=%3C%2Fscript%3E";
  await wait();
  said.push("nasty: " + byId("list").querySelector("p").textContent);
  document.querySelector("#reliability .pick:last-of-type").dispatchEvent(new MouseEvent("click"));
  said.push("bin: " + (numbers() === String(here.bins.at(-1)[1])) + " " + state.q);
  byId("filter").querySelector("[type=reset]").click();
  said.push("all: " + numbers() + " " + location.hash);
  byId("models").querySelectorAll("input")[1].click();
  said.push("second: " + byId("headline").querySelector("h2").textContent + " " + location.hash);
  byId("show").value = "differ";
  byId("show").dispatchEvent(new Event("change"));
  const differ = rows.true.filter((_, i) => models[0].guess[i] !== models[1].guess[i]).length;
  said.push("differ: " + (numbers() === String(differ)));
  const drawn = [...document.querySelectorAll("svg *")].flatMap((node) =>
    ["points", "x", "y", "cx", "cy", "x1", "y1", "height"].map((name) => node.getAttribute(name)));
  said.push("drawn: " + !drawn.some((value) => /NaN|Infinity|undefined/.test(value)));
  said.push("asked for: " + performance.getEntriesByType("resource").length);
  said.push("wide: " + (document.documentElement.scrollWidth <= innerWidth));
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = said.join("\n");
  document.body.append(result);
})();
</script>
"""


def everything() -> str:
    """A page with all its sections, of two models."""
    point = {"value": 0.8, "low": 0.7, "high": 0.9}
    part = {"kind": "ngram", "name": "text", "rows": 40, "errors": 9, "accuracy": point}
    more = {
        "slices": {"metric": "accuracy", "min_rows": 20, "looked_at": 5, "level": 0.05,
                   "worse": [part], "by": {"length": [{**part, "kind": "length"}]}},
        "robustness": {"typos": [{"strength": s, "accuracy": point} for s in (0.0, 0.4)]},
        "robustness_run": {"rows": 90},
        "attack": {"rows": 9, "most_queries": 20, "accuracy": point,
                   "accuracy_under_attack": point, "words_changed": None},
        "fragile_words": [{"word": NASTY[0], "flips": 2, "tried": 3, "attacks": 1}],
    }  # fmt: skip
    first = reported(**more)
    assert first.answers is not None
    shifted = Answers(first.answers.cells, first.answers.true, np.roll(first.answers.guess, 1),
                      first.answers.confidence)  # fmt: skip
    second = Reported("two", first.document, {}, shifted)
    gap = {"value": -0.1, "low": None, "high": None, "p": 0.04}
    pair = {"says": "two is worse", "difference": {"accuracy": gap}, "p_holm": 0.04,
            "only_first": 3, "only_second": 1}  # fmt: skip
    compared = {"comparisons": [pair], "best": "one", "cheapest_as_good": None, "assumptions": "p"}
    return page(first, second, compared=compared)


def free(name: str, answers: list[str], *, judged: bool = True) -> Reported:
    """A model whose answers are texts: right where they are "truth" and the row's number."""
    truth = [f"truth {i}" for i in range(N)]
    cells = [(text,) for text in dict.fromkeys([*truth, *answers])]
    place = {cell[0]: i for i, cell in enumerate(cells)}
    ids = [np.array([place[text] for text in column]) for column in (truth, answers)]
    score = np.array([float(a == b) for a, b in zip(truth, answers, strict=True)])
    found = Answers(
        cells, ids[0], ids[1], free=True, right=score > 0 if judged else None, score=score,
        score_name="F1" if judged else "off by", less=not judged,
    )  # fmt: skip
    return Reported(name, {"n": N, "f1": {"value": 0.5, "low": 0.4, "high": 0.6}}, {}, found)


def test_answers_that_are_texts() -> None:
    answers = [f"truth {i}" for i in range(N)]
    first, second = free("one", answers), free("two", [*NASTY, *answers[len(NASTY) :]])
    found = data(page(first, second))
    assert found["free"] and found["judged"] and found["score"] == ["F1", False]
    assert found["models"][0]["right"] == [1] * N
    assert found["models"][1]["right"] == [0] * len(NASTY) + [1] * (N - len(NASTY))
    assert found["models"][1]["score"][: len(NASTY)] == [0.0] * len(NASTY)
    found = data(page(free("one", answers, judged=False)))
    assert not found["judged"] and found["models"][0]["right"] is None
    assert data(page())["judged"] and data(page())["score"] == ["", False]


FREE_DRIVER = r"""
<script>
const said = [];
addEventListener("error", (event) => said.push("error: " + event.message));
const wait = () => new Promise((done) => setTimeout(done, 60));
const numbers = () => byId("count").textContent.split(" of")[0];
const set = (id, value) => { byId(id).value = value; byId(id).dispatchEvent(new Event("change")); };
(async () => {
  await wait();
  const there = [...document.querySelectorAll("section")].filter((one) => !one.hidden);
  said.push("sections: " + there.map((one) => one.id).join(" "));
  said.push("labels asked for: " + !byId("true").parentElement.hidden);
  const options = (id) => [...byId(id).options].map((one) => one.value).join(" ");
  said.push("rows: " + options("show") + "; order: " + options("sort"));
  said.push("gap: " + byId("compared").textContent.includes("undefined"));
  set("show", "better");
  said.push("better: " + numbers());
  byId("models").querySelectorAll("input")[1].click();
  set("show", "worse");
  said.push("worse: " + numbers());
  set("show", "");
  set("sort", "worst");
  said.push("worst: " + byId("list").querySelector(".said").textContent);
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = said.join("\n");
  document.body.append(result);
})();
</script>
"""


def opened(tmp_path: Path, text: str, size: str, address: str = "") -> list[str]:
    """What a page said in a browser; nothing may be said on its console."""
    assert BROWSER is not None
    file = tmp_path / "report.html"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
            f"--window-size={size}", "--virtual-time-budget=10000", "--dump-dom",
            file.as_uri() + address,
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    return html.unescape(found[1]).splitlines()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("judged", [True, False])
def test_texts_as_answers_in_a_browser(tmp_path: Path, judged: bool) -> None:
    answers = [f"truth {i}" for i in range(N)]
    models = [free("one", answers, judged=judged), free("two", ["x", *answers[1:]], judged=judged)]
    gap = {"value": None, "low": None, "high": None, "p": 1.0}
    pair = {"says": "cannot tell", "difference": {"f1": gap}, "p_holm": 1.0, "only_first": 1,
            "only_second": 0, "right_or_wrong": judged}  # fmt: skip
    compared = {"comparisons": [pair], "best": "one", "cheapest_as_good": None, "assumptions": "p"}
    text = page(*models, compared=compared).replace("</body>", FREE_DRIVER + "</body>")
    said = opened(tmp_path, text, "1100,800")
    shows = "wrong right differ better worse" if judged else "differ better worse"
    assert said == [
        "sections: compared headline examples known",
        "labels asked for: false",
        f"rows:  {shows}; order:  worst best",
        "gap: true",
        f"better: {1 if judged else 0}",
        f"worse: {1 if judged else 0}",
        "worst: line 2truth: truth 0✓ one: truth 0 (F1 1.0000)✗ two: x (F1 0.0000)" if judged else
        "worst: line 3truth: truth 1one: truth 1 (off by 1.0000)two: truth 1 (off by 1.0000)",
    ]  # fmt: skip


BINS_DRIVER = r"""
<script>
const said = [];
addEventListener("error", (event) => said.push("error: " + event.message));
const wait = () => new Promise((done) => setTimeout(done, 60));
const numbers = () => byId("count").textContent.split(" of")[0];
(async () => {
  await wait();
  const picks = document.querySelectorAll("#reliability .pick"), listed = [];
  for (const pick of picks) {
    pick.dispatchEvent(new MouseEvent("click"));
    listed.push(numbers());
  }
  said.push("bins: " + (listed.join() === here.bins.map((bin) => bin[1]).join()));
  const cells = [...document.querySelectorAll("td[data-true]")];
  cells.find((one) => one.dataset.true === "a" && one.dataset.guess === "(no answer)").click();
  said.push("cell: " + numbers() + " " + location.hash);
  said.push("row: " + byId("list").querySelector(".said").textContent);
  const heads = [...document.querySelectorAll("#matrix thead button")];
  heads.find((one) => one.textContent === "(no answer)").click();
  said.push("column: " + numbers() + " " + byId("guess").value);
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = said.join("\n");
  document.body.append(result);
})();
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_bins_and_rows_without_an_answer_in_a_browser(tmp_path: Path) -> None:
    text = page(abstaining()).replace("</body>", BINS_DRIVER + "</body>")
    assert opened(tmp_path, text, "1100,800") == [
        "bins: true",
        "cell: 15 #true=a&guess=%28no+answer%29",
        "row: line 4truth: a✗ (no answer)",
        "column: 30 (no answer)",
    ]


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("size", ["1100,800", "500,800"])
def test_in_a_browser(tmp_path: Path, size: str) -> None:
    text = everything().replace("</body>", DRIVER + "</body>")
    said = opened(tmp_path, text, size, "#show=wrong")
    wrong = round(N * (1 - reported().document["accuracy"]["value"]))
    assert said == [
        f"from the address: {wrong} wrong",
        "wrong ones: true",
        "sections: compared headline confusion reliability risk labels slices robustness examples "
        "known",
        "cell: true #true=a&guess=c%2Cd",
        "only its rows: true",
        "chosen: true",
        "in focus: examples",
        "moved: true -1",
        "entered: a true",
        "searched: 81, marks 20, page 2 of 5",
        "next: page 3 of 5",
        f"nasty: {NASTY[0]}",
        "bin: true ",
        f"all: {N} ",
        "second: Headline of two #model=1",
        "differ: true",
        "drawn: true",
        "asked for: 0",
        "wide: true",
    ]
