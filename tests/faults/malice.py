"""What a forged model may hold: each entry spoils the parts of a good one in one way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from .forging import Parts, save, tensor, tensors

Change = Callable[[Parts], object]


def put(where: Any, key: Any, value: Any) -> None:
    """Assignment, as a function."""
    where[key] = value


def nested(depth: int) -> Any:
    """A document of so many objects, one in the other."""
    return json.loads('{"a":' * depth + "1" + "}" * depth)


def tokenizer_with(more: bytes) -> Change:
    """Text added at the end of tokenizer.json, inside its object."""

    def change(parts: Parts) -> None:
        whole = json.dumps(parts.tokenizer).encode()
        parts.raw["tokenizer.json"] = whole[:-1] + b"," + more + b"}"

    return change


def raw(name: str, data: bytes) -> Change:
    """Another content of a file."""
    return lambda p: put(p.raw, name, data)


def weights(data: bytes) -> Change:
    """Another model.safetensors."""
    return raw("model.safetensors", data)


def scalar(name: str) -> Change:
    """A tensor without a dimension in place of one that has some."""

    def change(parts: Parts) -> None:
        kind, size = ("U64", 8) if name == "hashes" else ("F32", 4)
        rest = save({k: v for k, v in parts.weights.items() if k != name})
        length = int.from_bytes(rest[:8], "little")
        header, body = json.loads(rest[8 : 8 + length]), rest[8 + length :]
        header[name] = tensor(kind, [], len(body), len(body) + size)
        parts.raw["model.safetensors"] = tensors(header, body + bytes(size))

    return change


def doubled_key(parts: Parts) -> None:
    """The first tensor twice in the header, with the same place."""
    data = save(parts.weights)
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].rstrip()
    first = header[1 : header.index(b"}") + 1]
    parts.raw["model.safetensors"] = tensors(header[:-1] + b"," + first + b"}", data[8 + length :])


def no_labels(parts: Parts) -> None:
    """Every part agrees that there is no label."""
    nothing = np.empty(0, np.float32)
    parts.manifest["labels"] = []
    parts.weights.pop("output", None)
    parts.weights.update(weight=np.empty((len(parts.weights["idf"]), 0), np.float32), bias=nothing)
    parts.optimizer.update(weight=nothing, bias=nothing, label_counts=nothing)


def no_features(parts: Parts) -> None:
    """Every part agrees that there is no feature."""
    width = parts.weights["weight"].shape[1]
    parts.weights.update(
        hashes=np.empty(0, np.uint64), idf=np.empty(0, np.float32),
        weight=np.empty((0, width), np.float32),
    )  # fmt: skip
    parts.optimizer["weight"] = np.empty(0, np.float32)
    parts.config.update(n_features=0, n_words=0)
    parts.tokenizer["words"] = []


def output_of(dtype: Any) -> Change:
    """The tensor ``output`` in another type."""

    def change(parts: Parts) -> None:
        width = parts.weights["weight"].shape[1]
        parts.weights["output"] = np.ones((2, width), dtype)

    return change


def spread(array: Any, *values: float) -> None:
    """Fills an array with these values in turn."""
    array.reshape(-1)[:] = np.resize(np.array(values, array.dtype), array.size)


def recast(arrays: dict[str, Any], name: str, dtype: Any) -> None:
    """Another number type for one tensor."""
    arrays[name] = arrays[name].astype(dtype)


MANIFEST: dict[str, Change] = {
    "a newer format": lambda p: put(p.manifest, "format_version", 2),
    "another kind": lambda p: put(p.manifest, "kind", "transformer"),
    "a kind of escape codes": lambda p: put(p.manifest, "kind", "x\x1b[31m\ny"),
    "a key of escape codes": lambda p: put(p.manifest, "x\x1b[31m\ny", 1),
    "a label less": lambda p: p.manifest["labels"].pop(),
    "a label more": lambda p: p.manifest["labels"].append("c"),
    "no label": no_labels,
    "a label twice": lambda p: put(p.manifest, "labels", ["a", "a"]),
    "half a character": lambda p: put(p.manifest, "labels", ["a", "\ud800"]),
    "one_vs_all as text": lambda p: put(p.config, "one_vs_all", "false"),
    "one_vs_all missing": lambda p: p.config.pop("one_vs_all"),
    "threshold as text": lambda p: put(p.config, "threshold", "x"),
    "threshold as a list": lambda p: put(p.config, "threshold", []),
    "threshold of 400 digits": lambda p: put(p.config, "threshold", 10**400),
    "threshold of 7": lambda p: put(p.config, "threshold", 7),
    "threshold below 0": lambda p: put(p.config, "threshold", -0.5),
    "separator as a number": lambda p: put(p.config, "label_separator", 3),
    "separator as a list": lambda p: put(p.config, "label_separator", ["a"]),
    "a billion features": lambda p: put(p.config, "n_features", 10**9),
    "a billion words": lambda p: put(p.config, "n_words", 10**9),
    "a config deep as a well": lambda p: put(p.config, "x", nested(900)),
    "another tokenizer": lambda p: put(p.config["tokenizer"], "word_ngrams", 5),
    "a file above": lambda p: put(p.manifest["files"], "../x", {"size": 0, "sha256": "0" * 64}),
    "an absolute file": lambda p: put(
        p.manifest["files"], "/etc/passwd", {"size": 0, "sha256": "0" * 64}
    ),
    "a file of 10^18 bytes": lambda p: put(
        p.manifest["files"], "big.bin", {"size": 10**18, "sha256": "0" * 64}
    ),
}

TOKENIZER: dict[str, Change] = {
    "n_texts below 0": lambda p: put(p.tokenizer, "n_texts", -1),
    "n_texts huge": lambda p: put(p.tokenizer, "n_texts", 10**30),
    "n_texts of 5000 digits": raw("tokenizer.json", b'{"n_texts":' + b"9" * 5000 + b"}"),
    "n_texts infinite": lambda p: put(p.tokenizer, "n_texts", float("inf")),
    "n_texts no number": lambda p: put(p.tokenizer, "n_texts", float("nan")),
    "n_texts as text": lambda p: put(p.tokenizer, "n_texts", "12"),
    "n_texts as a fraction": lambda p: put(p.tokenizer, "n_texts", 1.5),
    "n_texts as true": lambda p: put(p.tokenizer, "n_texts", True),
    "words as text": lambda p: put(p.tokenizer, "words", "abc"),
    "words as numbers": lambda p: put(p.tokenizer, "words", [1, 2]),
    "words as an object": lambda p: put(p.tokenizer, "words", {"a": 1}),
    "more words than features": lambda p: put(p.tokenizer, "words", [f"w{i}" for i in range(999)]),
    "a word twice": lambda p: put(p.tokenizer, "words", ["good", "good"]),
    "no object": raw("tokenizer.json", b"[]"),
    "nothing": raw("tokenizer.json", b""),
    "no UTF-8": raw("tokenizer.json", b'{"a":"\xff"}'),
    "deep objects": raw("tokenizer.json", b'{"a":' * 100_000),
    "deep lists": raw("tokenizer.json", b"[" * 100_000),
    "deep words": tokenizer_with(b'"words":[' + b"[" * 900 + b"]" * 900 + b"]"),
    "a key twice": tokenizer_with(b'"n_texts":1'),
    "a strange key": lambda p: put(p.tokenizer, "auto_map", {"Model": "evil.py"}),
    "a strange option": lambda p: put(p.cutting, "x", 1),
    "options as a list": lambda p: put(p.tokenizer, "config", []),
    "cleaning as a list": lambda p: put(p.cutting, "cleaning", []),
    "cleaning by text": lambda p: put(p.cutting["cleaning"], "lowercase", "no"),
    "a strange form": lambda p: put(p.cutting["cleaning"], "unicode_form", []),
    "a strange segmenter": lambda p: put(p.cutting, "segmenter", "evil"),
    "a billion words in a run": lambda p: put(p.cutting, "word_ngrams", 10**9),
    "two and a half words": lambda p: put(p.cutting, "word_ngrams", 2.5),
    "true words": lambda p: put(p.cutting, "word_ngrams", True),
    "words in quotes": lambda p: put(p.cutting, "word_ngrams", "2"),
    "n-grams of 10^9": lambda p: put(p.cutting, "max_n", 10**9),
    "n-grams of 3.5": lambda p: put(p.cutting, "max_n", 3.5),
    "count of 1.5": lambda p: put(p.cutting, "min_count", 1.5),
    "buckets of 2.5": lambda p: put(p.cutting, "buckets", 2.5),
}

TENSORS: dict[str, Change] = {
    "header of 2^63 bytes": weights((2**63).to_bytes(8, "little") + b"{}"),
    "header of 2^64 - 1 bytes": weights((2**64 - 1).to_bytes(8, "little") + b"{}"),
    "header that is deep": weights(tensors(b'{"a":' * 5000 + b"1" + b"}" * 5000)),
    "overlapping": weights(
        tensors({"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 0, 4)}, bytes(4))
    ),
    "a hole": weights(tensors({"a": tensor("F32", [1], 4, 8)}, bytes(8))),
    "size overflow": weights(tensors({"a": tensor("F32", [2**62, 4], 0, 0)})),
    "size overflow times 0": weights(tensors({"bias": tensor("F32", [2**62, 0], 0, 0)})),
    "a type numpy lacks": weights(tensors({"bias": tensor("BF16", [2], 0, 4)}, bytes(4))),
    "100 dimensions": weights(tensors({"bias": tensor("F32", [1] * 100, 0, 4)}, bytes(4))),
    "a tensor twice": doubled_key,
    **{f"{name} without a dimension": scalar(name) for name in ("hashes", "idf", "weight", "bias")},
    "nan": lambda p: put(p.weights["weight"], (0, 0), np.nan),
    "inf": lambda p: put(p.weights["idf"], 0, np.inf),
    "inf and -inf": lambda p: spread(p.weights["weight"], np.inf, -np.inf),
    "numbers whose sum overflows": lambda p: spread(p.weights["weight"], 3e38, -3e38),
    "idf of 0": lambda p: spread(p.weights["idf"], 0),
    "idf below 0": lambda p: spread(p.weights["idf"], -1),
    "bias nan": lambda p: put(p.weights["bias"], 0, np.nan),
    "a hash twice": lambda p: spread(p.weights["hashes"], 7),
    "a hash less": lambda p: put(p.weights, "hashes", p.weights["hashes"][:-1].copy()),
    "signed hashes": lambda p: recast(p.weights, "hashes", np.int64),
    "double weights": lambda p: recast(p.weights, "weight", np.float64),
    "half weights": lambda p: recast(p.weights, "weight", np.float16),
    "flat weights": lambda p: put(p.weights, "weight", p.weights["weight"].ravel()),
    "thick weights": lambda p: put(p.weights, "weight", p.weights["weight"][None]),
    "turned weights": lambda p: put(p.weights, "weight", p.weights["weight"].T.copy()),
    "no idf": lambda p: p.weights.pop("idf"),
    "a strange tensor": lambda p: put(p.weights, "evil", np.ones(3, np.float32)),
    "no features": no_features,
    "whole output": output_of(np.int32),
    "double output": output_of(np.float64),
    "complex output": output_of(np.complex64),
    "true output": output_of(bool),
}

OPTIMIZER: dict[str, Change] = {
    "nan": lambda p: put(p.optimizer["bias"], 0, np.nan),
    "below 0": lambda p: put(p.optimizer["bias"], 0, -1),
    "inf": lambda p: put(p.optimizer["bias"], 0, np.inf),
    "of another shape": lambda p: put(p.optimizer, "bias", np.ones(3, np.float32)),
    "none": lambda p: p.optimizer.pop("bias"),
    "whole": lambda p: recast(p.optimizer, "bias", np.int32),
    "cut": raw("optimizer.safetensors", b"\0" * 7),
    "a type numpy lacks": raw(
        "optimizer.safetensors", tensors({"bias": tensor("BF16", [2], 0, 4)}, bytes(4))
    ),
    "100 dimensions": raw(
        "optimizer.safetensors", tensors({"bias": tensor("F32", [1] * 100, 0, 4)}, bytes(4))
    ),
    "size overflow times 0": raw(
        "optimizer.safetensors", tensors({"bias": tensor("F32", [2**62, 0], 0, 0)})
    ),
}
