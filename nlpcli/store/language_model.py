"""An n-gram language model, or one a label, as a model folder.

``words.txt`` names the numbers of words. ``model.safetensors`` holds by order n: ``words.n`` int32
[U] the last word of each n-gram and ``sizes.n`` int32, from order 2, how many n-grams begin with
each of the order below; ``log_prob.n`` and, below the last order, ``log_weight.n`` float32 [E];
with labels ``entries.n`` int32 [U], how many know each n-gram, and ``labels.n`` int32 [E], which
ones; ``label_counts`` int64. ``root_weight`` float32 [L].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.models.ngram_lm import NgramLevel, NgramModel
from nlpcli.models.ngram_smoothing import CHAINED, SMOOTHINGS
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.store.tensors import Arrays, load_tensors, write_tensors
from nlpcli.store.word_list import joined_words, split_words
from nlpcli.text.config import TokenizerConfig
from nlpcli.text.sentence_ids import SPECIAL, Level, SentenceCoder, Sentences

KIND = "ngram-lm"
KEY = "language_model"
WEIGHTS = "model.safetensors"
WORDS = "words.txt"
ARPA = "arpa"
"""The smoothing of a model that another program made."""
MOST_ORDER = 6
_LARGEST = 1e4
"""Of a logarithm, but for that of 0."""
_ABOUT = {"order", "smoothing", "level", "n_words", "unk_is_word", "ngrams"}
LARGEST_SCALE = 1000.0


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """Texts -> probabilities of sentences; ``smoothing`` is the name of a method or ``ARPA``.

    ``labels`` and how many texts each had, int64 [L]; none for one model. With labels it is a
    classifier by Bayes' rule: P(label | text) is as P(label) P(text | label) to the power of
    ``scale`` / sqrt(tokens of the text), or of 1 without: words of a text depend on one another
    more than the model takes them to, so that what many of them say counts for less.
    """

    model: NgramModel
    coder: SentenceCoder
    smoothing: str
    labels: list[str] = field(default_factory=list)
    label_counts: npt.NDArray[np.int64] | None = None
    scale: float | None = None

    @property
    def multi_label(self) -> bool:
        """A text has one label."""
        return False

    @property
    def separator(self) -> str | None:
        """What several labels would be joined by."""
        return None

    def limit(self, asked: float | None) -> float:
        """A threshold, which one label a text has no use for."""
        return 0.5 if asked is None else asked

    def probabilities(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Probability of each label, float64 [len(texts), len(labels)].

        A blank text gets that of the labels alone, as does one that no label's model can say.
        """
        sentences = self.coder.encode(texts)
        logs = self.joint(sentences)
        told = (sentences.words > 0) & np.isfinite(logs).any(axis=1)
        if self.scale is not None:
            logs *= self.scale / np.sqrt(sentences.words + 1.0)[:, None]
        logs[~told] = self.prior
        logs -= logs.max(axis=1, keepdims=True)
        found = np.exp(logs)
        return cast(npt.NDArray[np.float64], found / found.sum(axis=1, keepdims=True))

    @property
    def prior(self) -> npt.NDArray[np.float64]:
        """ln P(label), float64 [L]."""
        assert self.label_counts is not None
        shares: npt.NDArray[np.float64] = np.log(self.label_counts / self.label_counts.sum())
        return shares

    def joint(self, sentences: Sentences) -> npt.NDArray[np.float64]:
        """ln P(label) P(sentence | label), float64 [B, L]; -inf where a label rules it out."""
        logs = self.model.log10_sums(sentences.tokens, sentences.sizes) * math.log(10)
        logs += self.prior
        return logs


def write_language_model(
    draft: Draft, language: LanguageModel, options: dict[str, Any]
) -> dict[str, Any]:
    """Writes the parts into a draft; gives what belongs into the manifest's configuration.

    ``options``: how the model was made. Raises DataError for what would not be read again,
    OutputFailed.
    """
    model, coder = language.model, language.coder
    mask = np.uint64((1 << model.bits) - 1)
    arrays: Arrays = {"root_weight": model.root_weight}
    for n, level in enumerate(model.levels, 1):
        arrays[f"words.{n}"] = (level.keys & mask).astype(np.int32)
        arrays[f"log_prob.{n}"] = level.log_prob
        if n > 1:
            prefixes = (level.keys >> np.uint64(model.bits)).astype(np.int64)
            sizes = np.bincount(prefixes, minlength=len(model.levels[n - 2].keys))
            arrays[f"sizes.{n}"] = sizes.astype(np.int32)
        if n < model.order:
            arrays[f"log_weight.{n}"] = level.log_weight
        if level.indptr is not None and level.labels is not None:
            arrays[f"entries.{n}"] = np.diff(level.indptr).astype(np.int32)
            arrays[f"labels.{n}"] = level.labels
    if language.label_counts is not None:
        arrays["label_counts"] = language.label_counts
    words = joined_words(coder.words, "the model")
    write_tensors(draft, WEIGHTS, arrays)
    draft.write(WORDS, words)
    about = {
        "order": model.order,
        "smoothing": language.smoothing,
        "level": coder.level,
        "n_words": model.n_words,
        "unk_is_word": coder.unk_is_word,
        "ngrams": [len(level.keys) for level in model.levels],
    }
    if language.scale is not None:
        about["scale"] = language.scale
    return {**options, KEY: about, "tokenizer": coder.config.to_json()}


def read_language_model(folder: ModelFolder) -> LanguageModel:
    """Loads a verified model. Raises DataError when it is of another kind or does not add up."""
    manifest, where = folder.manifest, str(folder.path)
    if manifest.kind != KIND:
        raise DataError(f"{where}: a model of kind {shown(manifest.kind)}, wanted a language model")
    about = _check_about(manifest.config.get(KEY), where)
    if not isinstance(manifest.config.get("tokenizer"), dict):
        raise DataError(f"{where}: config.tokenizer is missing")
    config = TokenizerConfig.from_json(manifest.config["tokenizer"])
    words = split_words(folder.read(WORDS), f"{where}/{WORDS}")
    if tuple(words[:3]) != SPECIAL or len(set(words)) != len(words) or "" in words:
        raise DataError(f"{where}/{WORDS}: a word is empty or there twice, or the first are not "
                        f"{', '.join(SPECIAL)}")  # fmt: skip
    if len(words) != about["n_words"]:
        raise DataError(f"{where}: {len(words):,} words, the manifest says another number")
    arrays, labels = load_tensors(folder, WEIGHTS), list(manifest.labels)
    n_labels = max(1, len(labels))
    model = _model(arrays, about, n_labels, bool(labels), where)
    counts = arrays.pop("label_counts", None)
    if labels:
        good = counts is not None and counts.shape == (n_labels,) and counts.dtype == np.int64
        if counts is None or not good or counts.min() < 1:
            raise DataError(f"{where}: tensor label_counts is not one count a label")
    if arrays or (counts is not None and not labels):
        raise DataError(f"{where}: tensor {next(iter(arrays), 'label_counts')} is not wanted")
    level: Level = about["level"]
    coder = SentenceCoder(words, config, level, unk_is_word=about["unk_is_word"])
    return LanguageModel(model, coder, about["smoothing"], labels, counts, about.get("scale"))


def _check_about(about: Any, where: str) -> dict[str, Any]:
    if not isinstance(about, dict) or set(about) - {"scale"} != _ABOUT:
        raise DataError(f"{where}: config.{KEY}: wanted {', '.join(sorted(_ABOUT))}")
    if type(about["order"]) is not int or not 1 <= about["order"] <= MOST_ORDER:
        raise DataError(f"{where}: order {shown(str(about['order']))}, wanted 1 to {MOST_ORDER}")
    if about["smoothing"] not in (*SMOOTHINGS, ARPA) or about["level"] not in ("word", "char"):
        raise DataError(f"{where}: smoothing or level is none that is known")
    if type(about["unk_is_word"]) is not bool:
        raise DataError(f"{where}: unk_is_word is not true or false")
    scale = about.get("scale", 1.0)
    if type(scale) is not float or not 0 < scale <= LARGEST_SCALE:
        raise DataError(f"{where}: scale {shown(str(scale))}, wanted more than 0")
    found: dict[str, Any] = about
    return found


def _model(
    arrays: Arrays, about: dict[str, Any], n_labels: int, labelled: bool, where: str
) -> NgramModel:
    """Takes its tensors out of ``arrays``."""
    n_words, order = about["n_words"], about["order"]
    root = _taken(arrays, "root_weight", "float32", n_labels, where)
    _check_logs("root_weight", root, where)
    made = NgramModel(n_words, n_labels, [], root, chained=False)
    levels: list[NgramLevel] = []
    below = 1
    for n in range(1, order + 1):
        level = _level(arrays, n, below, made.bits, n_words, n_labels if labelled else None,
                       n < order, where)  # fmt: skip
        levels.append(level)
        below = len(level.keys)
    if about["ngrams"] != [len(level.keys) for level in levels]:
        raise DataError(f"{where}: the manifest says another number of n-grams")
    chained = about["smoothing"] in (*CHAINED, ARPA)
    unseen = made.uniform if about["smoothing"] == "laplace" else -math.inf
    return NgramModel(n_words, n_labels, levels, root, chained, unseen)


def _level(
    arrays: Arrays, n: int, below: int, bits: int, n_words: int, n_labels: int | None,
    inner: bool, where: str,
) -> NgramLevel:  # fmt: skip
    words = _taken(arrays, f"words.{n}", "int32", None, where)
    size = len(words)
    keys = words.astype(np.uint64)
    if size and (words.min() < 0 or words.max() >= n_words):
        raise DataError(f"{where}: tensor words.{n} holds a number that no word has")
    if n > 1:
        sizes = _taken(arrays, f"sizes.{n}", "int32", below, where)
        if (len(sizes) and sizes.min() < 0) or int(sizes.sum(dtype=np.int64)) != size:
            raise DataError(f"{where}: tensor sizes.{n} does not add up to {size:,} n-grams")
        keys |= np.repeat(np.arange(below, dtype=np.uint64) << np.uint64(bits), sizes)
    if not (keys[1:] > keys[:-1]).all():
        raise DataError(f"{where}: tensor words.{n}: n-grams are not in ascending order")
    indptr = labels = None
    n_entries = size
    if n_labels is not None:
        entries = _taken(arrays, f"entries.{n}", "int32", size, where)
        labels = _taken(arrays, f"labels.{n}", "int32", None, where)
        n_entries = len(labels)
        indptr = np.append(0, np.cumsum(entries, dtype=np.int64))
        inside = not n_entries or (labels.min() >= 0 and labels.max() < n_labels)
        first = np.zeros(n_entries + 1, bool)
        if (size and entries.min() < 1) or indptr[-1] != n_entries or not inside:
            raise DataError(f"{where}: tensors entries.{n} and labels.{n} do not fit")
        first[indptr] = True
        if not ((labels[1:] > labels[:-1]) | first[1:-1]).all():
            raise DataError(f"{where}: tensor labels.{n} is not in ascending order")
    log_prob = _taken(arrays, f"log_prob.{n}", "float32", n_entries, where)
    log_weight = np.empty(0, np.float32)
    if inner:
        log_weight = _taken(arrays, f"log_weight.{n}", "float32", n_entries, where)
    for name, values in ((f"log_prob.{n}", log_prob), (f"log_weight.{n}", log_weight)):
        _check_logs(name, values, where)
    return NgramLevel(keys, indptr, labels, log_prob, log_weight)


def _taken(arrays: Arrays, name: str, kind: str, size: int | None, where: str) -> Any:
    array = arrays.pop(name, None)
    if array is None or array.ndim != 1 or str(array.dtype) != kind:
        raise DataError(f"{where}: tensor {name} is missing, or no list of {kind}")
    if size is not None and len(array) != size:
        raise DataError(f"{where}: tensor {name} has {len(array):,} numbers, wanted {size:,}")
    return array


def _check_logs(name: str, values: npt.NDArray[np.float32], where: str) -> None:
    """0 has a logarithm of minus infinity."""
    good = (values <= _LARGEST) & ((values >= -_LARGEST) | np.isneginf(values))
    if not good.all():
        raise DataError(f"{where}: tensor {name} holds a value that is no logarithm")
