"""The page with a map of the words: what is in it, and, where there is a browser, what it does."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nlpcli.evaluation.word_map import NEIGHBOURS, WordMap
from nlpcli.models.word_vectors import WordVectors

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
NASTY = [
    "</script><img src=x onerror=alert(1)>",
    "<!--",
    "&amp;",
    "\"'`",
    "\u2028",
    "猫",
    "É",
    "a b",
]
WORDS = [*NASTY, *(f"word{i}" for i in range(42))]


def made() -> WordVectors:
    table = np.random.default_rng(2).standard_normal((len(WORDS), 6)).astype(np.float32)
    return WordVectors(list(WORDS), table)


def page(n_words: int = 20) -> str:
    return WordMap(n_words, "pca").page(made(), "<b>title</b> & more")


class Tags(HTMLParser):
    """Tags with their attributes, and the text in each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)


def test_it_holds_the_words_and_their_neighbours() -> None:
    data = json.loads(Tags(page()).scripts[0])
    n = data["n"]
    assert n == 20 and data["words"][:20] == WORDS[:20]
    assert len(set(data["words"])) == len(data["words"]) > n
    rows, cosines = made().nearest(made().vectors[:n], NEIGHBOURS, [[i] for i in range(n)])
    for i, near in enumerate(data["near"]):
        assert [data["words"][j] for j, _ in near] == [WORDS[row] for row in rows[i]]
        np.testing.assert_allclose([x for _, x in near], cosines[i], atol=1e-4)
    points = np.array(data["points"])
    assert points.shape == (20, 2) and np.abs(points).max() == 1


def test_texts_are_escaped_and_nothing_is_asked_for() -> None:
    text = page()
    found = Tags(text)
    names = [tag for tag, _ in found.tags]
    assert names.count("script") == 2 and "img" not in names and "b" not in names
    assert "&lt;b&gt;title&lt;/b&gt; &amp; more" in text
    addresses = [a[k] for _, a in found.tags for k in ("src", "href", "action") if k in a]
    assert addresses == ["data:,"]
    assert re.findall(r"(?:https?:)?//[\w.]+", text.replace("http://www.w3.org/2000/svg", "")) == []
    policy = next(a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "The 20 most frequent of 50 words, 6 numbers each, laid flat by PCA" in text


@pytest.mark.parametrize("n_words", [1, 2, 999])
def test_few_words(n_words: int) -> None:
    data = json.loads(Tags(page(n_words)).scripts[0])
    assert data["n"] == min(n_words, len(WORDS)) == len(data["points"]) == len(data["near"])


DRIVER = r"""
<script>
const said = [];
addEventListener("error", (event) => said.push("error: " + event.message));
// a browser without a screen draws no frames while its clock is held
window.requestAnimationFrame = (act) => setTimeout(act, 1);
const wait = () => new Promise((done) => setTimeout(done, 60));
const title = () => byId("chosen").textContent;
const shown = () => marks.filter((mark) => mark.label.style.display !== "none").length;
const send = (kind, x, y, more) => map.dispatchEvent(new PointerEvent(kind, {
  pointerId: 1, clientX: x, clientY: y, bubbles: true, ...more }));
map.setPointerCapture = () => {};
(async () => {
  planned = false;
  await wait();
  said.push("from the address: " + title());
  const box = map.getBoundingClientRect(), [x, y] = marks[12].at;
  send("pointerdown", box.left + x, box.top + y); send("pointerup", box.left + x, box.top + y);
  await wait();
  said.push("clicked: " + title() + ", " + byId("near").children.length);
  const listed = document.querySelector("#near button");
  const next = listed.textContent;
  listed.click();
  await wait();
  said.push("followed: " + (title() === next) + ", lines " + (byId("lines").children.length > 0));
  const before = marks[3].at.slice();
  send("pointerdown", 200, 300); send("pointermove", 260, 330); send("pointerup", 260, 330);
  await wait();
  const by = marks[3].at.map((v, i) => Math.round(v - before[i]));
  said.push("dragged: " + by + " " + (title() === next));
  all(); await wait();
  const gap = () => Math.hypot(...marks[3].at.map((v, i) => v - marks[4].at[i]));
  const wide = gap(), turn = { deltaY: -500, clientX: 300, clientY: 300, cancelable: true };
  map.dispatchEvent(new WheelEvent("wheel", turn));
  await wait();
  const ratio = () => gap() / wide;
  said.push("wheel: " + ratio().toFixed(2));
  map.dispatchEvent(new KeyboardEvent("keydown", { key: "0" })); await wait();
  said.push("zero: " + ratio().toFixed(2));
  send("pointerdown", 300, 300); send("pointerdown", 400, 300, { pointerId: 2 });
  send("pointermove", 301, 300); send("pointermove", 501, 300, { pointerId: 2 });
  send("pointerup", 301, 300); send("pointerup", 501, 300, { pointerId: 2 }); await wait();
  said.push("pinch: " + ratio().toFixed(2));
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  press("/");
  said.push("slash: " + (document.activeElement === search));
  search.value = "WORD1"; search.dispatchEvent(new Event("input")); await wait();
  said.push("found: " + title());
  search.value = "wor"; search.form.requestSubmit(); await wait();
  said.push("begun: " + title());
  search.value = "nowhere"; search.form.requestSubmit(); await wait();
  said.push("missing: " + byId("note").textContent);
  press("Escape"); await wait();
  said.push("escape: " + title() + ", " + byId("near").children.length);
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = said.join("\n");
  document.body.append(result);
})();
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_in_a_browser(tmp_path: Path) -> None:
    assert BROWSER is not None
    file = tmp_path / "words.html"
    file.write_text(page().replace("</body>", DRIVER + "</body>"), encoding="utf-8")
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
            "--window-size=1000,700", "--virtual-time-budget=10000", "--dump-dom",
            f"{file.as_uri()}#%E7%8C%AB",
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    said = html.unescape(found[1]).splitlines()
    assert said == [
        "from the address: 猫",
        f"clicked: {WORDS[12]}, {NEIGHBOURS}",
        "followed: true, lines true",
        "dragged: 60,30 true",
        "wheel: 2.12",
        "zero: 1.00",
        "pinch: 2.02",
        "slash: true",
        "found: word1",
        "begun: word0",
        "missing: “nowhere” is not on this map.",
        "escape: No word chosen, 0",
    ]
