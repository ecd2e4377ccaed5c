import re

import numpy as np

from nlpcli.data.ngram_levels import ByLabel
from nlpcli.data.ngram_table import NgramTable, Part
from nlpcli.evaluation.ngram_page import ngram_page

NAMES = ["<b>x</b>", "good", "bad"]


def table(by_label: ByLabel | None) -> NgramTable:
    counts = np.array([9, 3, 1])
    part = Part(1, counts, counts, 13, by_label, lambda at, _: [NAMES[i] for i in at.tolist()])
    labels = ["no & never", "yes"] if by_label else []
    return NgramTable([part], labels, np.array([5, 5][: len(labels)]), 10, False)


def test_the_page_escapes_and_asks_for_nothing() -> None:
    ngrams, labels = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    counts = np.array([4, 5, 3, 1])
    page = ngram_page(table(ByLabel(ngrams, labels, counts, counts)), "<script>")
    assert "<b>x" not in page and "<script" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "no &amp; never" in page
    assert not re.search(r"(?:src|href)\s*=\s*\"(?!data:)|https?://|@import|url\(", page)
    assert page.count("<polyline") == 1
    typical = page[page.index("Most typical") :]
    no, yes = typical[: typical.index("<h3>yes")], typical[typical.index("<h3>yes") :]
    assert "bad" in no and "good" not in no
    assert "good" in yes and "bad" not in yes


def test_a_table_of_nothing_is_a_page_too() -> None:
    empty = np.empty(0, np.int64)
    part = Part(2, empty, empty, 0, None, lambda at, _: [])
    page = ngram_page(NgramTable([part], [], empty, 0, False), "none")
    assert "Most typical" not in page and "<polyline" not in page
