"""The page of a run: what its log must be, what is in it, and what it does in a browser."""

from __future__ import annotations

import html
import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.errors import DataError
from nlpcli.evaluation.run_page import MOST_POINTS, SMOOTHED, Line, read_log, run_page

from .test_word_map import Tags

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
NASTY = "</script><img src=x onerror=alert(1)>"


def entries(n: int = 60, *, bad: tuple[int, ...] = (20,)) -> list[dict[str, Any]]:
    """A run that looks at rows kept apart six times and leaves out the steps in ``bad``."""
    found = []
    for step in range(1, n + 1):
        entry: dict[str, Any] = {
            "step": step, "tokens": 8192 * step, "seconds": 1.5 * step, "lr": 1e-3 * step / n,
            "norm": 1 + 1 / step, "mlm": 9 - 5 * step / n, "nsp": 0.7 - 0.2 * step / n,
        }  # fmt: skip
        if step % max(1, n // 6) == 0:
            entry["held_out"] = {
                "mlm_loss": 9.1 - 5 * step / n, "mlm_accuracy": 0.5 * step / n,
                "nsp_loss": 0.6, "nsp_accuracy": 0.7,
            }  # fmt: skip
        if step in bad:
            entry |= {"norm": math.nan, "mlm": math.inf, "note": f"step {step} {NASTY}"}
        found.append(entry)
    return found


def log(lines: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def page(lines: list[dict[str, Any]] | None = None) -> str:
    read = read_log(log(entries() if lines is None else lines), "log.jsonl")
    config = {"optimizer": "adamw", "encoder": {"bert": {"hidden": 256}}, "minutes": None,
              "program": NASTY}  # fmt: skip
    return run_page(read, "<b>enc</b> & more", config, {"pseudo_perplexity": 33.25})


def data(text: str) -> Any:
    return json.loads(Tags(text).scripts[0])


def test_it_holds_the_curves() -> None:
    found = data(page())
    assert found["steps"] == list(range(1, 61)) and found["tokens"][1] == 16384
    assert found["minutes"][:2] == [0.025, 0.05]
    mlm, nsp = found["losses"]
    assert (mlm["name"], nsp["name"]) == ("mlm", "nsp")
    assert mlm["raw"][0] == [0, pytest.approx(9 - 5 / 60, abs=1e-4)]
    assert 19 not in [at for at, _ in mlm["raw"]] and len(mlm["raw"]) == 59
    assert [at for at, _ in mlm["held_out"]] == [9, 19, 29, 39, 49, 59]
    assert found["accuracies"][1]["points"][0] == [9, 0.7]
    assert found["lr"][-1] == [59, 0.001] and len(found["norm"]) == 59
    np.testing.assert_allclose([value for _, value in found["rate"]], 8192 / 1.5, rtol=1e-4)
    assert found["notes"] == [[19, f"step 20 {NASTY}"]]


def test_texts_are_escaped_and_nothing_is_asked_for() -> None:
    text = page()
    found = Tags(text)
    names = [tag for tag, _ in found.tags]
    assert names.count("script") == 2 and "img" not in names and "b" not in names
    assert "&lt;b&gt;enc&lt;/b&gt; &amp; more" in text
    addresses = [a[k] for _, a in found.tags for k in ("src", "href", "action") if k in a]
    assert addresses == ["data:,"]
    assert re.findall(r"(?:https?:)?//[\w.]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    policy = next(a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'")
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    for said in ("60 steps, 491,520 tokens, 1.5 minutes, 5,461 tokens a second", "optimizer adamw",
                 "encoder.bert.hidden 256", "pseudo_perplexity 33.25", "mlm accuracy"):  # fmt: skip
        assert said in plain, said
    assert " minutes None" not in plain and "No step was left out" not in plain


def test_smooth_curves_are_means_of_what_is_around() -> None:
    n = 400
    values = np.random.default_rng(0).random(n).round(4)
    lines = entries(n, bad=())
    for line, value in zip(lines, values.tolist(), strict=True):
        line["mlm"] = value
    lines[150]["mlm"] = None
    smooth = dict(data(page(lines))["losses"][0]["smooth"])
    half = n // SMOOTHED // 2
    assert 150 not in smooth and len(smooth) == n - 1
    assert smooth[0] == values[0]
    assert smooth[n - 1] == pytest.approx(values[-half - 1 :].mean(), abs=1e-5)
    assert smooth[2] == pytest.approx(values[:5].mean(), abs=1e-5)
    assert smooth[300] == pytest.approx(values[300 - half : 301 + half].mean(), abs=1e-5)
    around = np.delete(values, 150)[152 - half : 152 + half]
    assert smooth[152] == pytest.approx(around.mean(), abs=1e-5)


def test_a_long_run_keeps_its_notes_and_what_was_looked_at() -> None:
    n = 3 * MOST_POINTS + 1
    lines = entries(n, bad=(7, 8))
    found = data(page(lines))
    looked = {line["step"] for line in lines if "held_out" in line}
    assert len(found["steps"]) < MOST_POINTS + 20
    assert {1, 7, 8, n} | looked <= set(found["steps"])
    assert [found["steps"][at] for at, _ in found["notes"]] == [7, 8]
    assert {found["steps"][at] for at, _ in found["losses"][0]["held_out"]} == looked


@pytest.mark.parametrize("lines", [entries(1, bad=()), entries(1, bad=(1,)), entries(2)])
def test_short_runs(lines: list[dict[str, Any]]) -> None:
    assert len(data(page(lines))["steps"]) == len(lines)
    bare = [{"step": 1, "tokens": 0, "seconds": 0, "lr": 0}]
    assert data(page(bare))["losses"] == [] and "0 tokens a second" in page(bare)


GOOD = entries(2, bad=())
WRONG: list[tuple[bytes, str]] = [
    (b"", "no line"), (b"\n\n", "no line"), (b"\xff\n", "not UTF-8"), (b"{", "line 1: not JSON"),
    (b"[1]", "wanted an object"), (b"7", "wanted an object"), (b"[" * 99999, "not JSON"),
    (log([GOOD[0], GOOD[0]]), "line 2: step 1 behind step 1"),
    (log([GOOD[1], GOOD[0]]), "step 1 behind step 2"),
    (log([GOOD[0], {**GOOD[1], "tokens": 3}]), "fewer tokens"),
    (log([GOOD[0], {**GOOD[1], "seconds": 0.1}]), "fewer tokens or seconds"),
    *(
        (log([{**GOOD[0], key: value}]), said)
        for key, value, said in [
            ("step", 1.5, "step: 1.5"), ("step", True, "step: True"), ("step", -1, "step: -1"),
            ("step", 10**300, "step: 1"), ("tokens", "many", "tokens: many"),
            ("seconds", math.nan, "seconds and lr"), ("seconds", None, "seconds and lr"),
            ("lr", -1.0, "seconds and lr"), ("lr", "high", "lr: high"), ("norm", [1], "norm: [1]"),
            ("mlm", "\x1b[31mred", "mlm"), ("mlm", True, "mlm: True"), ("note", 3, "note: 3"),
            ("held_out", [], "held_out: []"), ("held_out", {"mlm_loss": "x"}, "held_out.mlm_loss"),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_is_no_log(text: bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_log(text, "log.jsonl")
    message = caught.value.message
    assert message.startswith("log.jsonl") and said in message
    assert len(message) < 200 and message.isprintable()


VALUES = st.one_of(
    st.integers(-3, 2**70), st.floats(),
    st.sampled_from(
        [None, True, "", "\ud800", NASTY, [], {}, {"": 1}, {"mlm_loss": None}, {"x": "y"}]
    ),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(
    st.tuples(st.sampled_from([*GOOD[0], "held_out", "note", "sbo"]), VALUES), max_size=3,
))  # fmt: skip
def test_whatever_stands_there_is_a_log_or_an_error(changes: list[tuple[str, Any]]) -> None:
    lines = entries(3)
    for line, (key, value) in zip(lines, changes, strict=False):
        line[key] = value
    try:
        found = read_log(log(lines), "x")
    except DataError:
        return
    assert all(isinstance(line, Line) for line in found)
    assert data(run_page(found, "x", {}, {}))["steps"] == [line.step for line in found]


DRIVER = r"""
<script>
const said = [];
addEventListener("error", (event) => said.push("error: " + event.message));
const wait = () => new Promise((done) => setTimeout(done, 60));
const lines = (i) => charts[i].svg.querySelectorAll("polyline").length;
const numbers = (i) => [...charts[i].svg.querySelectorAll("text")].map((node) => node.textContent);
(async () => {
  await wait();
  said.push("charts: " + charts.map((chart) => chart.title).join(", "));
  said.push("lines: " + charts.map((chart, i) => lines(i)).join(" "));
  const drawn = [...document.querySelectorAll("polyline")]
    .map((line) => line.getAttribute("points")).join(" ");
  said.push("drawn: " + !/NaN|Infinity|undefined/.test(drawn) + " " + (drawn.length > 1000));
  said.push("notes: " + charts[0].svg.querySelectorAll("line.note").length);
  said.push("key: " + charts[0].key.textContent);
  const box = charts[0].svg.getBoundingClientRect();
  const clientX = box.left + charts[0].x(29) + 1;
  charts[0].svg.dispatchEvent(new PointerEvent("pointermove", { clientX, bubbles: true }));
  said.push("pointed: " + data.steps[here] + " " + charts[0].key.textContent);
  charts[2].svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  said.push("moved: " + data.steps[here] + " " + charts[2].key.textContent);
  charts[2].svg.dispatchEvent(new PointerEvent("pointerleave"));
  said.push("left: " + here);
  for (const name of ["tokens", "minutes", "steps"]) {
    document.querySelector("input[value=" + name + "]").click();
    said.push(name + ": " + numbers(2).slice(-1));
  }
  const levels = [[0.3, 0.6], [-3, 3], [0, 0]].map((pair) => powers(...pair).length);
  said.push("levels: " + levels.join(" "));
  said.push("wide: " + (document.documentElement.scrollWidth <= innerWidth));
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = said.join("\n");
  document.body.append(result);
})();
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("size", ["1100,800", "500,800"])
def test_in_a_browser(tmp_path: Path, size: str) -> None:
    assert BROWSER is not None
    file = tmp_path / "run.html"
    file.write_text(page().replace("</body>", DRIVER + "</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
            f"--window-size={size}", "--virtual-time-budget=10000", "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    said = html.unescape(found[1]).splitlines()
    assert said == [
        "charts: Loss, Accuracy on rows kept apart, Learning rate, Norm of the gradient, "
        "Tokens a second",
        "lines: 6 2 1 1 1",
        "drawn: true true",
        "notes: 1",
        "key: masked pieces: 4masked pieces, kept apart: 4.1next sentence: 0.5"
        "next sentence, kept apart: 0.6",
        "pointed: 30 masked pieces: 6.5masked pieces, kept apart: 6.6next sentence: 0.6"
        "next sentence, kept apart: 0.6",
        "moved: 31 learning rate: 5.2e-4",
        "left: -1",
        "tokens: 400 k",
        "minutes: 1.5",
        "steps: 60",
        "levels: 4 7 1",
        "wide: true",
    ]
