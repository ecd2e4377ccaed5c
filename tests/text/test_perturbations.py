"""What each kind of perturbation may change, and that nothing but text, kind and seed decides."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlpcli.data.pairs import SEPARATOR
from nlpcli.text.perturbations import BORDER, KEEPS_MEANING, KINDS, Draft, Perturbed, cut, perturb

PIECES = [
    "don't", "good", "A", "ß", "İstanbul", "naïve", "é", "'", "’", ".", ",", "，", " ", "  ", "\t",
    "\n", BORDER, "差", "房间", "Это", "x1", "7", "हिन्दी", "😀", "n't", "a'b'c", "-", "ﬁ",
]  # fmt: skip
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.text(max_size=30))
SEEDS = st.integers(0, 3)
kinds = pytest.mark.parametrize("kind", KINDS)
quick = settings(max_examples=40, deadline=None)


def whole(text: str, kind: str, seed: int = 1) -> Perturbed:
    """The text with every word edited that the kind can edit."""
    return perturb(cut(text), kind, [1.0], seed)[0]


@quick
@given(TEXTS)
@example("a'b.'c")
def test_a_text_is_its_pieces(text: str) -> None:
    draft = cut(text)
    assert draft.text == text
    assert len(draft.gaps) == len(draft.words) + 1
    assert all(draft.words)
    assert not any(map(str.isspace, draft.words))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("I don't, and I do n't.", ["I", "don't", "and", "I", "do", "n't"]),
        ("'quoted' rock’n’roll", ["quoted", "rock’n’roll"]),
        ("差'a' b房间", ["差", "a", "b", "房", "间"]),
        (f"a{BORDER}b", ["a", "b"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert cut(text).words == words


@kinds
@quick
@given(text=TEXTS, seed=SEEDS)
def test_strengths_rise(kind: str, text: str, seed: int) -> None:
    draft = cut(text)
    levels = perturb(draft, kind, [0.0, 0.3, 0.6, 1.0], seed)
    assert draft == cut(text)  # what it was made from is as it was
    assert levels[0] == Perturbed(text, ())
    for lower, higher in pairwise(levels):
        if kind != "order":  # there a word may meet its like on the way
            assert set(lower.touched) <= set(higher.touched)
    for level in levels:
        level.text.encode("utf-8", "surrogatepass" if not _valid(text) else "strict")
        assert level.text.count(BORDER) == text.count(BORDER)
        assert (level.text == text) == (not level.touched) or kind == "order"
    # neither other texts nor other strengths have a say
    assert perturb(cut(text), kind, [0.6], seed) == [levels[2]]


def _valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@quick
@given(TEXTS, SEEDS)
@example("a'b'c", 1)
@example("n't n't", 2)
def test_typos_keep_words_apart(text: str, seed: int) -> None:
    before, after = cut(text).words, whole(text, "typos", seed)
    now = cut(after.text).words
    assert len(now) == len(before)
    for i, (one, other) in enumerate(zip(before, now, strict=True)):
        assert (one != other) == (i in after.touched)
        assert abs(len(one) - len(other)) <= 1
        assert (i in after.touched) == (any(map(str.isalpha, one)) and not _is_cjk(one))


def _is_cjk(word: str) -> bool:
    from nlpcli.text.segment import is_cjk

    return len(word) == 1 and is_cjk(ord(word))


@pytest.mark.parametrize("kind", ["keyboard", "homoglyphs", "same-sound", "same-shape"])
@quick
@given(text=TEXTS, seed=SEEDS)
@example(text="房间很大 and clean 42", seed=1)
def test_one_character_for_another(kind: str, text: str, seed: int) -> None:
    after = whole(text, kind, seed)
    assert len(after.text) == len(text)
    changed = [(a, b) for a, b in zip(text, after.text, strict=True) if a != b]
    assert len(changed) == len(after.touched)
    assert len(cut(after.text).words) == len(cut(text).words)
    if kind == "keyboard":
        assert all(a.isupper() == b.isupper() or b.isdigit() or a.isdigit() for a, b in changed)


@quick
@given(TEXTS, SEEDS)
def test_case_and_spaces_and_punctuation(text: str, seed: int) -> None:
    assert whole(text, "case", seed).text.casefold() == text.casefold()
    spaced = whole(text, "spaces", seed).text
    assert [c for c in spaced if not c.isspace()] == [c for c in text if not c.isspace()]
    signed = whole(text, "punctuation", seed)
    assert cut(signed.text).words == cut(text).words
    assert len(signed.touched) == len(cut(text).words)


@quick
@given(TEXTS, SEEDS)
@example("abc中中def", 1)
@example("x中'y", 1)
def test_order_and_deletion(text: str, seed: int) -> None:
    before, after = cut(text), perturb(cut(text), "order", [0.5], seed)[0]
    if all(map(_is_cjk, before.words)) or not any(map(_is_cjk, before.words)):
        assert Counter(cut(after.text).words) == Counter(before.words)
    assert Counter(after.text) == Counter(text)
    left = perturb(before, "deletion", [0.5], seed)[0]
    kept = [word for i, word in enumerate(before.words) if i not in left.touched]
    assert cut(left.text).words == kept


def test_the_share_of_words_is_the_strength() -> None:
    draft = cut(" ".join(f"word{i}" for i in range(4000)))
    for found, share in zip(perturb(draft, "typos", [0.05, 0.4], 1), [0.05, 0.4], strict=True):
        assert len(found.touched) / 4000 == pytest.approx(share, abs=0.03)


def test_every_process_makes_the_same_text() -> None:
    code = (
        "from nlpcli.text.perturbations import KINDS, cut, perturb\n"
        "t = 'It was not good, 房间很大 naïve'\n"
        "for kind in KINDS: print(ascii(perturb(cut(t), kind, [.3, .9], 7)))\n"
    )
    done = [
        subprocess.run(
            [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}"],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hashes}, timeout=60,
        ).stdout
        for hashes in ("1", "2")
    ]  # fmt: skip
    text = "It was not good, 房间很大 naïve"
    here = "".join(f"{perturb(cut(text), kind, [0.3, 0.9], 7)!a}\n" for kind in KINDS)
    assert done == [here, here]


def test_seeds_and_kinds_differ() -> None:
    text = "the service was friendly and the rooms were clean"
    assert len({whole(text, "typos", seed).text for seed in range(20)}) == 20
    assert whole(text, "typos").touched and whole(text, "keyboard").touched
    first = [
        perturb(cut(text), kind, [0.5], 1)[0].touched for kind in ("typos", "keyboard", "case")
    ]
    assert len(set(first)) > 1


@pytest.mark.parametrize(
    ("kind", "text", "possible"),
    [
        ("typos", "ab", {"ba", "a", "b"}),
        ("case", "aB", {"AB", "ab", "Ab"}),
        ("spaces", "a b", {"ab"}),
        ("spaces", "差房", {"差 房"}),
        ("punctuation", "a.b", {"a b,", "a b.", "a b!", "a b?", "a b;", "a b:"}),
        ("order", "a, b", {"b, a"}),
        ("order", f"a{BORDER}b", {f"a{BORDER}b"}),
        ("deletion", "a", {""}),
        ("keyboard", "P", {"O", "L", "0"}),
        ("same-shape", "未", {"末"}),
    ],
)
def test_what_becomes_of_it(kind: str, text: str, possible: set[str]) -> None:
    found = {whole(text, kind, seed).text for seed in range(40)}
    if kind == "typos":
        assert found >= possible
        assert all(1 <= len(one) <= 3 for one in found)
    else:
        assert found <= possible
        assert len(found) >= min(2, len(possible))


def test_a_pair_is_joined_as_the_rows_are() -> None:
    assert BORDER == SEPARATOR
    assert "order" not in KEEPS_MEANING
    assert Draft(["a"], ["", "."]).text == "a."
