"""The fastText program as the reference: trains on made-up text, and answers."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nlpcli.formats.fasttext_bin import read_fasttext

from .written import huffman

PROGRAM = shutil.which("fasttext")
needs_program = pytest.mark.skipif(PROGRAM is None, reason="the program fasttext is not installed")
LABELS = 260  # fewer rows than 256 cannot be quantised
WORDS = [
    *(f"word{i}" for i in range(150)), *(f"词{chr(0x4E00 + 7 * i)}" for i in range(80)),
    "naïve", "Ünï", "😀", "a", "é", "__label", "</s", "s>", "don't", "x" * 300,
]  # fmt: skip


def run(*arguments: object, data: str = "") -> str:
    """Output of the program."""
    assert PROGRAM is not None
    done = subprocess.run(
        [PROGRAM, *map(str, arguments)], input=data.encode(), capture_output=True, timeout=120,
        check=True,
    )  # fmt: skip
    return done.stdout.decode()


def made_up_lines(count: int, seed: int, known: float = 1.0) -> list[str]:
    """Lines of known words and others, with odd spaces, and now and then none at all."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        words = draw.choices(WORDS, k=draw.choice([0, 1, 3, 8, 20]))
        words = [w if draw.random() < known else _unknown(draw) for w in words]
        lines.append(draw.choice(["", "", " "]) + draw.choice([" ", "\t", "  "]).join(words))
    return lines


def _unknown(draw: random.Random) -> str:
    letters = "abcdefgéß词语世界😀я" + chr(0x10FFFF) + "<>\r\v\f"
    made = "".join(draw.choices(letters, k=draw.randint(1, 12)))
    return draw.choice([made, made, made, "__label__1", "__label__none"])


def train(folder: Path, *arguments: object, algorithm: str = "supervised") -> Path:
    """A small .bin. Many threads: with one, most of the table stays zero."""
    data = folder / "train.txt"
    lines = made_up_lines(700, 0)
    marked = (f"__label__{i * i % LABELS} {line} key{i % LABELS}" for i, line in enumerate(lines))
    labels = "".join(f"__label__{i} key{i}\n" for i in range(LABELS))
    data.write_text("\n".join(marked) + "\n" + labels, encoding="utf-8", newline="")
    run(algorithm, "-input", data, "-output", folder / "model", "-dim", 4, "-bucket", 1000,
        "-thread", 10, "-epoch", 5, "-lr", 0.5, "-verbose", 0, *arguments)  # fmt: skip
    return folder / "model.bin"


def quantise(folder: Path, *arguments: object) -> Path:
    """The .ftz of a model that was trained in this folder."""
    run("quantize", "-input", folder / "train.txt", "-output", folder / "model", "-thread", 10,
        "-epoch", 1, "-verbose", 0, *arguments)  # fmt: skip
    return folder / "model.ftz"


def assert_same_answers(
    model: Path, lines: list[str], probabilities: npt.NDArray[np.float64], labels: list[str]
) -> float:
    """Compares all labels that the program prints; gives the largest difference but for rounding.

    It prints six digits, so where it prints 1 and more it rounds to 1e-5.
    """
    printed = run("predict-prob", model, "-", -1, data="".join(line + "\n" for line in lines))
    position = {f"__label__{name}": i for i, name in enumerate(labels)}
    wanted = _as_printed(model, probabilities)
    worst, rows = 0.0, printed.split("\n")[:-1]
    assert len(rows) == len(lines)
    for row, values in zip(rows, wanted, strict=True):
        cells = row.split(" ") if row else []
        at = [position[cell] for cell in cells[::2]]
        if not at:  # no feature at all: the program says nothing
            continue
        shown = np.array([float(cell) for cell in cells[1::2]])
        off = np.abs(values[at] - shown) - np.where(shown >= 1, 5e-6, 0)
        worst = max(worst, float(off.max()))
        top = int(values.argmax())
        assert top == at[0] or abs(values[top] - values[at[0]]) <= 1e-6
        left = np.delete(values, at)
        assert left.max(initial=0) <= 1.1e-5 * 40, "only what is next to nothing is left out"
    return worst


def _as_printed(model: Path, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The program adds 1e-5 to a probability, or with the tree to every choice on its way."""
    file = read_fasttext(model)
    if file.arguments.loss != 1:
        return probabilities + 1e-5
    n_labels = file.dictionary.n_labels
    below = {i: [i] for i in range(n_labels)}
    result = np.ones_like(probabilities)
    for i, pair in enumerate(huffman(file.dictionary.counts[-n_labels:].tolist())):
        node = below[n_labels + i] = below[pair[0]] + below[pair[1]]
        whole = np.maximum(probabilities[:, node].sum(axis=1), 1e-300)
        for child in pair:
            share = probabilities[:, below[child]].sum(axis=1) / whole + 1e-5
            result[:, below[child]] *= share[:, None]
    return result
