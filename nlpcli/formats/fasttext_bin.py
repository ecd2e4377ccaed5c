"""fastText's model files, .bin and .ftz, version 12; version 11 is read.

Little-endian and unpadded: magic number, version, arguments, dictionary, input matrix, output
matrix. Layout: fasttext.cc, args.cc and dictionary.cc of fastText 0.9.2. Nothing in a file is
believed before it is checked against the file's size and the rest of it.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from nlpcli.errors import DataError
from nlpcli.formats.bounded import BoundedReader, open_bounded
from nlpcli.formats.fasttext_dictionary import (
    LABEL,
    Dictionary,
    check_dictionary,
    read_dictionary,
)
from nlpcli.formats.fasttext_matrix import (
    Matrix,
    QuantisedMatrix,
    check_matrix,
    read_bool,
    read_matrix,
    skip_matrix,
)

MAGIC = 793712314
VERSION = 12
LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "one-vs-all"}
MODELS = {1: "cbow", 2: "skipgram", 3: "supervised"}
SUPERVISED = 3
LONGEST = 1000
"""Of n-grams: beyond it a file is damaged, and a long word would take for ever."""
_ARGUMENTS = "12id"
_FLORET = "<2i4x8x3i"  # mode, hashCount, lrUpdateRate, t, then the dictionary's sizes


@dataclass(frozen=True)
class Arguments:
    """What the program was called with, in the order of the file; learning rate is not kept."""

    dim: int
    ws: int
    epoch: int
    min_count: int
    neg: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lr_update_rate: int
    t: float

    @property
    def supervised(self) -> bool:
        """Whether it is a classifier, not word vectors."""
        return self.model == SUPERVISED

    @property
    def uses_buckets(self) -> bool:
        """Whether texts have features beside their words."""
        return self.word_ngrams > 1 or max(self.minn, 1) <= self.maxn


@dataclass(frozen=True)
class FastTextFile:
    """A model file: ``input`` float32 [words + buckets, dim], ``output`` [labels or words, dim].

    ``qout``: the flag of that name; it counts where the input is quantised.
    """

    arguments: Arguments
    dictionary: Dictionary
    input: Matrix
    output: Matrix
    qout: bool = False


def is_fasttext(path: Path) -> bool:
    """Whether a regular file begins with fastText's magic number."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as stream:
            return stream.read(4) == struct.pack("<i", MAGIC)
    except (OSError, ValueError):
        return False


def is_classifier(path: Path) -> bool:
    """Whether a file of fastText's says that it is one, not word vectors. Raises as reading."""
    with open_bounded(path) as reader:
        reader.unpack("2i", "the magic number")
        return Arguments(*reader.unpack(_ARGUMENTS, "the arguments")).supervised


def read_fasttext(path: Path, *, classifier: bool = False) -> FastTextFile:
    """Reads a whole file; memory is little more than its size.

    ``classifier``: word vectors are refused, before their matrices are read. Raises InputMissing,
    and DataError for a file that is not what it says, one line naming what was seen.
    """
    with open_bounded(path) as reader:
        arguments, dictionary = _read_head(reader)
        if classifier and not arguments.supervised:
            raise reader.bad(
                f"word vectors ({MODELS[arguments.model]}), wanted a classifier (supervised)"
            )
        _check_classifier(arguments, dictionary, reader.where)
        rows, outputs = _rows(arguments, dictionary)
        quantised = read_bool(reader, "quant")
        _check_pruned(dictionary, quantised, reader.where)
        shape = (rows, arguments.dim)
        table = read_matrix(reader, "input", shape, quantised=quantised)
        qout = read_bool(reader, "qout")
        shape = (outputs, arguments.dim)
        output = read_matrix(reader, "output", shape, quantised=quantised and qout)
        reader.finish()
    return FastTextFile(arguments, dictionary, table, output, qout)


def describe_fasttext(path: Path) -> dict[str, Any]:
    """Arguments, sizes and labels; the values of dense matrices stay unread. Raises as reading."""
    with open_bounded(path) as reader:
        size = reader.remaining
        arguments, dictionary = _read_head(reader)
        _check_classifier(arguments, dictionary, reader.where)
        rows, outputs = _rows(arguments, dictionary)
        quantised = read_bool(reader, "quant")
        _check_pruned(dictionary, quantised, reader.where)
        skip_matrix(reader, "input", (rows, arguments.dim), quantised=quantised)
        qout = read_bool(reader, "qout")
        skip_matrix(reader, "output", (outputs, arguments.dim), quantised=quantised and qout)
        reader.finish()
    names = {"loss": LOSSES[arguments.loss], "model": MODELS[arguments.model]}
    return {
        "path": str(path),
        "kind": "fasttext-file",
        "bytes": size,
        "quantised": quantised,
        "arguments": {**arguments.__dict__, **names},
        "words": dictionary.n_words,
        "tokens": dictionary.n_tokens,
        "kept_ngrams": None if dictionary.pruned is None else len(dictionary.pruned),
        "input": [rows, arguments.dim],
        "output": [outputs, arguments.dim],
        "labels": dictionary.label_names(),
    }


def write_fasttext(model: FastTextFile, stream: BinaryIO) -> None:
    """Writes version 12; the bytes of a version 12 file that was read come out the same."""
    quantised = isinstance(model.input, QuantisedMatrix)
    stream.write(struct.pack("<2i" + _ARGUMENTS, MAGIC, VERSION, *astuple(model.arguments)))
    model.dictionary.write(stream)
    stream.write(struct.pack("<?", quantised))
    model.input.write(stream)
    stream.write(struct.pack("<?", model.qout))
    model.output.write(stream)


def check_fasttext(model: FastTextFile, where: str, prefix: bytes = LABEL) -> None:
    """That a classifier's parts fit together as those of a file do. Raises DataError.

    ``prefix``: of its labels.
    """
    arguments, dictionary = model.arguments, model.dictionary
    check_arguments(arguments, where)
    if not arguments.supervised:
        raise DataError(f"{where}: word vectors, wanted a classifier")
    check_dictionary(dictionary, arguments.bucket, where, prefix)
    _check_classifier(arguments, dictionary, where)
    _check_pruned(dictionary, isinstance(model.input, QuantisedMatrix), where)
    rows, outputs = _rows(arguments, dictionary)
    if isinstance(model.output, QuantisedMatrix) and not (
        model.qout and isinstance(model.input, QuantisedMatrix)
    ):
        raise DataError(f"{where}: the output matrix is quantised, and qout or the input is not")
    check_matrix(model.input, "input", (rows, arguments.dim), where)
    check_matrix(model.output, "output", (outputs, arguments.dim), where)


def check_arguments(arguments: Arguments, where: str) -> None:
    """Raises DataError for a value that the program does not take, or that takes for ever."""
    for name in ("word_ngrams", "bucket", "minn", "maxn"):
        if getattr(arguments, name) < 0:
            raise DataError(f"{where}: {name} is {getattr(arguments, name)}, wanted 0 or more")
    if arguments.dim <= 0:
        raise DataError(f"{where}: dim is {arguments.dim}, wanted 1 or more")
    longest = max(arguments.word_ngrams, arguments.maxn)
    if longest > LONGEST:
        raise DataError(f"{where}: n-grams of {longest}, wanted at most {LONGEST}")
    if arguments.loss not in LOSSES or arguments.model not in MODELS:
        seen = f"loss {arguments.loss}, model {arguments.model}"
        wanted = f"wanted loss 1 to {len(LOSSES)}, model 1 to {len(MODELS)}"
        raise DataError(f"{where}: {seen}, {wanted}")
    if not math.isfinite(arguments.t):
        raise DataError(f"{where}: t is {arguments.t}, wanted a number")


def _read_head(reader: BoundedReader) -> tuple[Arguments, Dictionary]:
    magic, version = reader.unpack("2i", "the magic number")
    if magic != MAGIC:
        raise reader.bad(f"not a fastText model file: it begins with {magic}, wanted {MAGIC}")
    if version not in (VERSION - 1, VERSION):
        raise reader.bad(f"fastText format version {version}, wanted {VERSION - 1} or {VERSION}")
    arguments = Arguments(*reader.unpack(_ARGUMENTS, "the arguments"))
    _refuse_floret(reader)
    check_arguments(arguments, reader.where)
    if version < VERSION and arguments.supervised:
        arguments = replace(arguments, maxn=0)  # as the program: they were trained without
    return arguments, read_dictionary(reader, arguments.bucket)


def _refuse_floret(reader: BoundedReader) -> None:
    """floret puts a mode and a hash count after maxn, under the same magic number and version."""
    width = struct.calcsize(_FLORET)
    reader.give_back(struct.calcsize("<id"))
    data = reader.read(min(width, reader.remaining), "the arguments")
    reader.give_back(len(data) - struct.calcsize("<id"))
    if len(data) < width:
        return
    mode, hashes, *floret = struct.unpack(_FLORET, data)
    size, n_words, n_labels = struct.unpack_from("<3i", data, struct.calcsize("<id"))
    plain = size == n_words + n_labels and min(size, n_words, n_labels) >= 0
    meant = floret[0] == floret[1] + floret[2] and min(floret) >= 0
    if not plain and meant and mode in (1, 2) and 1 <= hashes <= 4:
        raise reader.bad("a floret model, wanted fastText's format")


def _check_classifier(arguments: Arguments, dictionary: Dictionary, where: str) -> None:
    """Raises DataError for a classifier without labels, or n-grams that have no bucket."""
    if not arguments.supervised:
        return
    if not dictionary.n_labels:
        raise DataError(f"{where}: a classifier without labels")
    if arguments.uses_buckets and not arguments.bucket:
        raise DataError(
            f"{where}: word n-grams or sub-words are used, and there are 0 buckets for them"
        )


def _check_pruned(dictionary: Dictionary, quantised: bool, where: str) -> None:
    if dictionary.pruned is not None and not quantised:
        raise DataError(
            f"{where}: a pruned dictionary with a dense matrix, which fastText does not read"
        )


def _rows(arguments: Arguments, dictionary: Dictionary) -> tuple[int, int]:
    """Rows that the input and the output matrix must have."""
    kept = arguments.bucket if dictionary.pruned is None else len(dictionary.pruned)
    outputs = dictionary.n_labels if arguments.supervised else dictionary.n_words
    return dictionary.n_words + kept, outputs
