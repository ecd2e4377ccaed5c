"""Texts as people and machines spoil them: one small edit in a share of the words.

A word is a run of letters and digits, joined by apostrophes (``don't``), or a single character of a
script written without spaces. What lies between words is kept apart, so that an edit of words
cannot touch punctuation, nor the other way round. Each word draws its own lot from a generator
seeded by a hash of seed, kind and text: the result depends on nothing else, and the words touched
at a small strength are touched at every greater one too.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nlpcli.text.lookalikes import HOMOGLYPHS, keyboard_neighbours
from nlpcli.text.same_shape import same_shape
from nlpcli.text.same_sound import same_sound
from nlpcli.text.segment import SIGN, char_class, classes, code_points, is_cjk, word_borders

BORDER = "\x1e"
"""Stands between the two texts of a pair (data/pairs.py); no edit moves it or reaches across."""

_APOSTROPHES = ("'", "’")
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_SIGNS, _CJK_SIGNS = ",.!?;:", "，。！？；、"


@dataclass
class Draft:
    """A text in pieces: ``gaps[0] + words[0] + gaps[1] + … + words[-1] + gaps[-1]``."""

    words: list[str]
    gaps: list[str]

    @property
    def text(self) -> str:
        """The whole."""
        between = zip(self.gaps, self.words, strict=False)
        return "".join(gap + word for gap, word in between) + self.gaps[-1]

    def copy(self) -> Draft:
        """Another with the same pieces."""
        return Draft(self.words.copy(), self.gaps.copy())


@dataclass(frozen=True)
class Perturbed:
    """A text after the edits, and the numbers of the words that were edited, rising."""

    text: str
    touched: tuple[int, ...]


def cut(text: str) -> Draft:
    """A text in pieces, which joined are the text."""
    kinds = classes(code_points(text))
    starts, ends = word_borders(kinds)
    chosen = kinds[starts] != SIGN
    draft, at = Draft([], []), 0
    for start, end in zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True):
        word, gap = text[start:end], text[at:start]
        beside = draft.words[-1:]
        if gap in _APOSTROPHES and beside and not any(map(_is_cjk, (*beside, word))):
            draft.words[-1] += gap + word
        else:
            draft.gaps.append(gap)
            draft.words.append(word)
        at = end
    draft.gaps.append(text[at:])
    return draft


def perturb(draft: Draft, kind: str, strengths: Sequence[float], seed: int) -> list[Perturbed]:
    """The text with edits of one of ``KINDS``, once for each strength.

    A strength is the probability, from 0 to 1, with which a word is edited, hence the expected
    share of the words; those that the kind knows no edit for stay as they are. ``draft`` is kept.
    """
    text = draft.text
    key = hashlib.blake2b(f"{seed}\0{kind}\0{text}".encode("utf-8", "replace"), digest_size=8)
    rng, edit = random.Random(int.from_bytes(key.digest(), "big")), KINDS[kind]
    lots = [(rng.random(), rng.random(), rng.random()) for _ in draft.words]
    found: list[Perturbed] = []
    for strength in strengths:
        now, touched = draft.copy(), []
        for i, (lot, which, where) in enumerate(lots):
            if lot < strength and edit(now, i, which, where):
                touched.append(i)
        found.append(Perturbed(now.text if touched else text, tuple(touched)))
    return found


Edit = Callable[[Draft, int, float, float], bool]
"""Changes word ``i`` of a draft as two numbers in [0, 1) choose; False where there is no way to."""


def typos(draft: Draft, i: int, which: float, where: float) -> bool:
    """A letter more, a letter less, two letters swapped, or another letter (Damerau 1964)."""
    word = draft.words[i]
    if _is_cjk(word) or not any(map(str.isalpha, word)):
        return False
    ways = (_inserted, _deleted, _swapped, _substituted)
    first, spots = int(which * len(ways)), [j for j, c in enumerate(word) if c.isalpha()]
    for way in (*ways[first:], *ways[:first]):
        made = way(word, spots, where)
        if made is not None:
            draft.words[i] = made
            return True
    return False


def _inserted(word: str, spots: list[int], where: float) -> str | None:
    j, rest = _spot(spots, where)
    return word[:j] + _cased(_chosen(_alphabet(word), rest), word[j]) + word[j:]


def _deleted(word: str, spots: list[int], where: float) -> str | None:
    beside = [j for j in spots if word[j - 1 : j].isalnum() or word[j + 1 : j + 2].isalnum()]
    if not beside:
        return None
    j, _ = _spot(beside, where)
    return word[:j] + word[j + 1 :]


def _swapped(word: str, spots: list[int], where: float) -> str | None:
    pairs = [j for j in spots if word[j + 1 : j + 2].isalnum() and word[j] != word[j + 1]]
    if not pairs:
        return None
    j, _ = _spot(pairs, where)
    return word[:j] + word[j + 1] + word[j] + word[j + 2 :]


def _substituted(word: str, spots: list[int], where: float) -> str | None:
    j, rest = _spot(spots, where)
    others = [c for c in (_cased(c, word[j]) for c in _alphabet(word)) if c != word[j]]
    return word[:j] + _chosen(others, rest) + word[j + 1 :] if others else None


def _spot(spots: list[int], where: float) -> tuple[int, float]:
    """One of some positions, and what is left of the number that chose it, again in [0, 1)."""
    place = where * len(spots)
    return spots[int(place)], place % 1


def _alphabet(word: str) -> str:
    """What another letter is drawn from: beyond ASCII those of the word, so of its script."""
    return _LATIN if word.isascii() else "".join(dict.fromkeys(filter(str.isalpha, word)))


def _cased(letter: str, like: str) -> str:
    """In the case of another letter, where that is one character too."""
    other = letter.upper() if like.isupper() else letter
    return other if len(other) == 1 else letter


def _chosen(options: Sequence[str], where: float) -> str:
    return options[int(where * len(options))]


def keyboard(draft: Draft, i: int, which: float, where: float) -> bool:
    """A letter or digit becomes one whose key is beside its own."""
    word, near = draft.words[i], keyboard_neighbours()
    spots = [j for j, c in enumerate(word) if c.isascii() and c.lower() in near]
    if not spots:
        return False
    j = spots[int(which * len(spots))]
    draft.words[i] = (
        word[:j] + _cased(_chosen(near[word[j].lower()], where), word[j]) + word[j + 1 :]
    )
    return True


def case(draft: Draft, i: int, which: float, where: float) -> bool:
    """The word in capitals, in small letters, with one capital, or with all cases turned."""
    word = draft.words[i]
    forms = (word.upper(), word.lower(), word.capitalize(), word.swapcase())
    options = [
        form for form in dict.fromkeys(forms) if form != word and form.casefold() == word.casefold()
    ]
    if options:
        draft.words[i] = _chosen(options, where)
    return bool(options)


def spaces(draft: Draft, i: int, which: float, where: float) -> bool:
    """The blank behind the word is lost, or one comes into it (behind a CJK character)."""
    ways = (_join, _split) if which < 0.5 else (_split, _join)
    return any(way(draft, i, where) for way in ways)


def _join(draft: Draft, i: int, where: float) -> bool:
    inner = i + 1 < len(draft.words) and _is_blank(draft.gaps[i + 1])
    if inner:
        draft.gaps[i + 1] = ""
    return inner


def _split(draft: Draft, i: int, where: float) -> bool:
    word = draft.words[i]
    if _is_cjk(word):
        inner = i + 1 < len(draft.words) and not draft.gaps[i + 1]
        if inner:
            draft.gaps[i + 1] = " "
        return inner
    if len(word) < 2:
        return False
    at = 1 + int(where * (len(word) - 1))
    draft.words[i] = f"{word[:at]} {word[at:]}"
    return True


def homoglyphs(draft: Draft, i: int, which: float, where: float) -> bool:
    """A Latin letter becomes one of another script that looks like it."""
    word = draft.words[i]
    spots = [j for j, c in enumerate(word) if c in HOMOGLYPHS]
    if not spots:
        return False
    j = spots[int(which * len(spots))]
    draft.words[i] = word[:j] + _chosen(HOMOGLYPHS[word[j]], where) + word[j + 1 :]
    return True


def punctuation(draft: Draft, i: int, which: float, where: float) -> bool:
    """A sign behind the word is dropped; where there is none, one is put there."""
    gap, cjk = draft.gaps[i + 1], _is_cjk(draft.words[i])
    at = next((j for j, c in enumerate(gap) if char_class(ord(c)) == SIGN), None)
    if at is None:
        draft.gaps[i + 1] = _chosen(_CJK_SIGNS if cjk else _SIGNS, where) + gap
        return True
    left = gap[:at] + gap[at + 1 :]
    if left in ("", *_APOSTROPHES) and i + 1 < len(draft.words) and not cjk:
        left = " "  # else two words would become one
    draft.gaps[i + 1] = left
    return left != gap


def order(draft: Draft, i: int, which: float, where: float) -> bool:
    """The word changes places with the next one."""
    words = draft.words
    if i + 1 == len(words) or words[i] == words[i + 1] or BORDER in draft.gaps[i + 1]:
        return False
    words[i], words[i + 1] = words[i + 1], words[i]
    return True


def deletion(draft: Draft, i: int, which: float, where: float) -> bool:
    """The word is left out, with a blank of those around it."""
    words, gaps = draft.words, draft.gaps
    words[i] = ""
    before, after, last = gaps[i], gaps[i + 1], i + 1 == len(words)
    if _is_blank(before) and (_is_blank(after) or (last and not after)):
        gaps[i] = ""
    elif _is_blank(after) and i == 0:
        gaps[i + 1] = ""
    elif before + after in ("", *_APOSTROPHES) and not _is_cjk_text(draft, i):
        gaps[i + 1] += " "  # else two words would become one
    return True


def _is_cjk_text(draft: Draft, i: int) -> bool:
    """Whether a neighbour of a word is a CJK character, or it has none on one side."""
    beside = draft.words[max(i - 1, 0) : i], draft.words[i + 1 : i + 2]
    return any(not words or _is_cjk(words[0]) for words in beside)


def sound(draft: Draft, i: int, which: float, where: float) -> bool:
    """A Chinese character becomes one of the same syllable, as an input method would have it."""
    return _looked_up(same_sound(), draft, i, where)


def shape(draft: Draft, i: int, which: float, where: float) -> bool:
    """A Chinese character becomes one that looks like it."""
    return _looked_up(same_shape(), draft, i, where)


def _looked_up(table: dict[str, str], draft: Draft, i: int, where: float) -> bool:
    others = table.get(draft.words[i])
    if others:
        draft.words[i] = _chosen(others, where)
    return bool(others)


def _is_cjk(word: str) -> bool:
    return len(word) == 1 and is_cjk(ord(word))


def _is_blank(gap: str) -> bool:
    return gap.isspace() and BORDER not in gap


KINDS: dict[str, Edit] = {
    "typos": typos, "keyboard": keyboard, "case": case, "spaces": spaces, "homoglyphs": homoglyphs,
    "punctuation": punctuation, "order": order, "deletion": deletion, "same-sound": sound,
    "same-shape": shape,
}  # fmt: skip
"""By the names that options and documents have for them."""

KEEPS_MEANING = tuple(kind for kind in KINDS if kind not in ("order", "deletion"))
"""Those after which a reader would still say what he said before; what an attack may use."""
