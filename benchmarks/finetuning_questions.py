"""Questions of SQuAD for both programs: the split by article, the files, and a scorer.

The scorer is the benchmark's own and the same for both programs. Answers are compared as the
SQuAD script does (Rajpurkar et al. 2016, §6): lower case, without ASCII punctuation, a, an and
the, words by white space; of several true answers the one that fits best counts.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import re
import string
from collections import Counter
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]

N_TEST, N_DEV = 8, 4
"""Articles of the test part, and of those that are left, of the dev part."""
_NO_WORDS = re.compile(r"\b(?:a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def question_parts(path: Path, most: int | None) -> dict[str, Rows]:
    """train, dev and test rows: id, question, context, answers. No article is in two parts; of the
    48 of SQuAD's development file 36 are learnt, 4 are the dev part, 8 the test part."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        articles = json.load(lines)["data"]
    shuffled = random.Random(7)
    shuffled.shuffle(articles)
    test, rest = articles[:N_TEST], articles[N_TEST:]
    dev, train = rest[:N_DEV], rows_of(rest[N_DEV:])
    if most is not None and len(train) > most:
        shuffled.shuffle(train)
        train = train[:most]
    return {"train": train, "dev": rows_of(dev), "test": rows_of(test)}


def rows_of(articles: list[dict[str, Any]]) -> Rows:
    """A row a question."""
    return [
        {"context": paragraph["context"], **question}
        for article in articles for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]  # fmt: skip


def write_squad(rows: Rows, path: Path) -> None:
    """The rows as SQuAD's JSON, in their order."""
    paragraphs = [
        {"context": context, "qas": [{k: row[k] for k in ("id", "question", "answers")}
                                     for row in asked]}
        for context, asked in itertools.groupby(rows, lambda row: row["context"])
    ]  # fmt: skip
    document = {"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def words(text: str) -> list[str]:
    """What is compared of an answer."""
    return _NO_WORDS.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split()


def answer_f1(true: str, found: str) -> float:
    """Twice the words that both have, of all words."""
    a, b = words(true), words(found)
    both = sum((Counter(a) & Counter(b)).values())
    return 2 * both / (len(a) + len(b)) if both else 0.0


def question_scores(truth: Rows, found: list[str]) -> dict[str, float]:
    """Means of F1 and of exact matches (EM) over the questions."""
    f1 = em = 0.0
    for row, answer in zip(truth, found, strict=True):
        texts = {each["text"] for each in row["answers"]}
        f1 += max(answer_f1(text, answer) for text in texts)
        em += max(words(text) == words(answer) for text in texts)
    return {"f1": f1 / len(truth), "em": em / len(truth)}
