"""fastText files written and answered by other code than the package's: struct and plain loops."""

from __future__ import annotations

import math
import random
import struct
from dataclasses import dataclass, field

MAGIC = 793712314
HS, NS, SOFTMAX, OVA = 1, 2, 3, 4


@dataclass
class Spec:
    """What is in a made-up file. With ``dsub`` the input is quantised."""

    words: list[bytes]
    labels: list[bytes]
    dim: int = 3
    loss: int = SOFTMAX
    model: int = 3
    word_ngrams: int = 1
    bucket: int = 0
    minn: int = 0
    maxn: int = 0
    version: int = 12
    pruned: list[tuple[int, int]] | None = None
    dsub: int = 0
    qnorm: bool = False
    qout: bool = False
    counts: list[int] = field(default_factory=list)
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.counts:
            ranks = [*range(len(self.words), 0, -1), *range(len(self.labels), 0, -1)]
            self.counts = [3 * rank for rank in ranks]
        draw = random.Random(self.seed)
        kept = self.bucket if self.pruned is None else len(self.pruned)
        outputs = len(self.labels) if self.model == 3 else len(self.words)
        self.input = Part(draw, len(self.words) + kept, self.dim, self.dsub, self.qnorm)
        self.output = Part(draw, outputs, self.dim, self.dsub * self.qout, self.qnorm)

    def to_bytes(self) -> bytes:
        """The file."""
        head = struct.pack(
            "<2i12id", MAGIC, self.version, self.dim, 5, 6, 1, 7, self.word_ngrams, self.loss,
            self.model, self.bucket, self.minn, self.maxn, 100, 1e-4,
        )  # fmt: skip
        names = self.words + self.labels
        head += struct.pack("<3i", len(names), len(self.words), len(self.labels))
        head += struct.pack("<2q", 99, -1 if self.pruned is None else len(self.pruned))
        for i, name in enumerate(names):
            head += name + b"\0" + struct.pack("<qb", self.counts[i], i >= len(self.words))
        for pair in self.pruned or []:
            head += struct.pack("<2i", *pair)
        first, second = self.input.to_bytes(), self.output.to_bytes()
        return head + bytes([self.dsub > 0]) + first + bytes([self.qout]) + second


class Part:
    """One matrix with small random numbers, dense or quantised."""

    def __init__(self, draw: random.Random, rows: int, dim: int, dsub: int, qnorm: bool) -> None:
        self.n, self.dim, self.dsub, self.qnorm = rows, dim, dsub, qnorm
        single = struct.Struct("<f")

        def number() -> float:
            return float(single.unpack(single.pack(draw.uniform(-2, 2)))[0])

        if not dsub:
            self.dense = [[number() for _ in range(dim)] for _ in range(rows)]
            return
        self.widths = [min(dsub, dim - at) for at in range(0, dim, dsub)]
        self.codes = [[draw.randrange(256) for _ in self.widths] for _ in range(rows)]
        self.centroids = [[[number() for _ in range(w)] for _ in range(256)] for w in self.widths]
        self.norm_codes = [draw.randrange(256) for _ in range(rows)]
        self.norms = [abs(number()) for _ in range(256)]

    def row(self, index: int) -> list[float]:
        """The numbers of a row."""
        if not self.dsub:
            return self.dense[index]
        norm = self.norms[self.norm_codes[index]] if self.qnorm else 1.0
        found = zip(self.centroids, self.codes[index], strict=True)
        return [norm * x for part, code in found for x in part[code]]

    def to_bytes(self) -> bytes:
        """As it lies in a file."""
        if not self.dsub:
            flat = [x for row in self.dense for x in row]
            return struct.pack(f"<qq{len(flat)}f", self.n, self.dim, *flat)
        parts = len(self.widths)
        data = struct.pack("<?qqi", self.qnorm, self.n, self.dim, self.n * parts)
        data += bytes(code for row in self.codes for code in row)
        data += struct.pack("<4i", self.dim, parts, self.dsub, self.widths[-1])
        flat = [x for part in self.centroids for centroid in part for x in centroid]
        data += struct.pack(f"<{len(flat)}f", *flat)
        if self.qnorm:
            data += bytes(self.norm_codes) + struct.pack("<4i256f", 1, 1, 1, 1, *self.norms)
        return data


def fnv(word: bytes) -> int:
    """FNV-1a over bytes that count as signed."""
    value = 2166136261
    for byte in word:
        value = ((value ^ (byte - 256 if byte > 127 else byte) % 2**32) * 16777619) % 2**32
    return value


def features(spec: Spec, line: str) -> list[int]:
    """Rows of one line, in order."""

    def kept(bucket: int) -> list[int]:
        if spec.pruned is None:
            return [len(spec.words) + bucket]
        return [len(spec.words) + row for key, row in spec.pruned if key == bucket]

    numbers = {name: i for i, name in enumerate(spec.words + spec.labels)}
    raw = line.encode()
    for separator in b"\r\t\v\f\0\n":
        raw = raw.replace(bytes([separator]), b" ")
    tokens = [token for token in raw.split(b" ") if token] + [b"</s>"]
    rows, hashes = [], []
    for token in tokens[: tokens.index(b"</s>") + 1]:
        number = numbers.get(token, -1)
        if number >= len(spec.words) or (number < 0 and token.startswith(b"__label__")):
            continue
        rows += [number] * (number >= 0)
        hashes.append(fnv(token))
        text = f"<{token.decode()}>" if token != b"</s>" else ""
        for i in range(len(text)):
            for n in range(max(1, spec.minn), spec.maxn + 1):
                gram = text[i : i + n]
                if len(gram) == n and not (n == 1 and i in (0, len(text) - 1)):
                    rows += kept(fnv(gram.encode()) % spec.bucket)
    signed = [h - 2**32 if h >= 2**31 else h for h in hashes]
    for i, first in enumerate(signed):
        value = first % 2**64
        for other in signed[i + 1 : i + spec.word_ngrams]:
            value = (value * 116049371 + other) % 2**64
            rows += kept(value % spec.bucket)
    return rows


def answer(spec: Spec, line: str) -> list[float]:
    """Probabilities of the labels, in exact arithmetic but for the one-vs-all table."""
    rows = [spec.input.row(i) for i in features(spec, line)]
    hidden = [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
    hidden = hidden or [0.0] * spec.dim
    logits = [
        math.fsum(a * b for a, b in zip(hidden, spec.output.row(i), strict=True))
        for i in range(spec.output.n)
    ]
    if spec.loss == SOFTMAX:
        total = math.fsum(math.exp(x) for x in logits)
        return [math.exp(x) / total for x in logits]
    if spec.loss in (NS, OVA):
        return [1 / (1 + math.exp(8 - int((x + 8) * 32) / 32)) for x in logits]
    return [chance for _, chance in sorted(leaves(spec.counts[len(spec.words) :], logits).items())]


def huffman(counts: list[int]) -> list[tuple[int, int]]:
    """(left, right) of the inner nodes len(counts), …: by repeatedly joining the two rarest.

    Labels are taken from the rear; among equals a node goes before a label.
    """
    leaves_left, nodes = list(range(len(counts))), list[int]()
    weight, pairs = dict(enumerate(counts)), []
    while len(leaves_left) + len(nodes) > 1:
        pair = []
        for _ in range(2):
            leaf_first = leaves_left and (not nodes or weight[leaves_left[-1]] < weight[nodes[0]])
            pair.append(leaves_left.pop() if leaf_first else nodes.pop(0))
        made = len(counts) + len(pairs)
        weight[made] = weight[pair[0]] + weight[pair[1]]
        nodes.append(made)
        pairs.append((pair[0], pair[1]))
    return pairs


def leaves(counts: list[int], logits: list[float]) -> dict[int, float]:
    """Probability of each label under the hierarchical softmax."""
    pairs, chances = huffman(counts), {2 * len(counts) - 2: 1.0}
    for index in reversed(range(len(pairs))):
        above = chances.pop(len(counts) + index)
        right = 1 / (1 + math.exp(-logits[index]))
        chances[pairs[index][0]] = above * (1 - right)
        chances[pairs[index][1]] = above * right
    return chances
