"""fastText's files as model folders: nothing is lost, and what does not add up is refused."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from nlpcli.errors import DataError, UsageError
from nlpcli.formats.fasttext_bin import read_fasttext, write_fasttext
from nlpcli.formats.fasttext_model import open_fasttext
from nlpcli.runs.exchanging import export_fasttext, import_fasttext, stored_fasttext
from nlpcli.store.opening import open_stored
from nlpcli.store.store import Store

from ..faults.forging import entry, seal
from ..formats.written import HS, NS, OVA, Spec

WORDS = [b"</s>", b"the", b"\xff\x80 \n", "中文".encode(), b""]
LABELS = [b"__label__x", b"__label__y", b"__label__z"]
TEXTS = ["the cat 中文", "", "the unknown the", "__label__x"]
DENSE = Spec(WORDS, LABELS, minn=1, maxn=3, word_ngrams=2, bucket=11)
PRUNED = Spec(
    WORDS, LABELS, minn=1, maxn=2, bucket=9, dim=3, dsub=2, qnorm=True, qout=True,
    pruned=[(7, 1), (2, 0)],
)  # fmt: skip
SPECS = {
    "dense": DENSE,
    "hs": Spec(WORDS, LABELS, loss=HS),
    "ns": Spec(WORDS, LABELS, loss=NS),
    "ova": Spec(WORDS, LABELS, loss=OVA),
    "quantised": Spec(WORDS, LABELS, word_ngrams=2, bucket=5, dim=5, dsub=2),
    "qout": Spec(WORDS, LABELS, loss=OVA, dim=4, dsub=2, qout=True),
    "pruned": PRUNED,
    "no words": Spec([], LABELS, minn=1, maxn=2, bucket=3),
}


def imported(spec: Spec, folder: Path, **more: Any) -> tuple[Path, Path]:
    """The file, and the folder that was made of it."""
    file = folder / "model.bin"
    file.write_bytes(spec.to_bytes())
    with Store(folder / "store").begin("m") as draft:
        return file, import_fasttext(file, draft, **more)


@pytest.mark.parametrize("name", SPECS)
def test_bytes_and_answers_are_those_of_the_file(name: str, tmp_path: Path) -> None:
    file, path = imported(SPECS[name], tmp_path)
    folder, _ = Store(tmp_path / "store").open("m")
    assert folder.path == path
    export_fasttext(stored_fasttext(folder), tmp_path / "copy.bin", force=False)
    assert (tmp_path / "copy.bin").read_bytes() == file.read_bytes()
    again, direct = open_stored(Store(tmp_path / "store").open("m")[0]), open_fasttext(file)
    assert again.labels == direct.labels == ["x", "y", "z"]
    assert (again.multi_label, again.separator) == (direct.multi_label, direct.separator)
    assert again.limit(None) == direct.limit(None)
    assert np.array_equal(again.probabilities(TEXTS), direct.probabilities(TEXTS))
    data = folder.manifest.data
    assert data["imported_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_version_11_becomes_version_12(tmp_path: Path) -> None:
    old = Spec(WORDS, LABELS, minn=1, maxn=3, bucket=4, version=11)
    file, _ = imported(old, tmp_path)
    copy = io.BytesIO()
    write_fasttext(stored_fasttext(Store(tmp_path / "store").open("m")[0]), copy)
    new = tmp_path / "new.bin"
    new.write_bytes(copy.getvalue())
    assert read_fasttext(new).arguments.maxn == 0
    answers = (open_fasttext(path).probabilities(TEXTS) for path in (file, new))
    assert np.array_equal(*answers)


def test_another_prefix_is_taken_off_the_labels(tmp_path: Path) -> None:
    spec = Spec(WORDS, [b"@x", b"@y"])
    imported(spec, tmp_path, prefix="@")
    folder, _ = Store(tmp_path / "store").open("m")
    assert folder.manifest.labels == open_stored(folder).labels == ["x", "y"]


def test_word_vectors_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="word vectors"):
        imported(Spec(WORDS, [], model=1, loss=NS), tmp_path)
    (tmp_path / "text").write_text("no model at all")
    with (
        pytest.raises(DataError, match="begins with"),
        Store(tmp_path / "store").begin("m") as draft,
    ):
        import_fasttext(tmp_path / "text", draft)
    assert Store(tmp_path / "store").names() == []


class Parts:
    """What a folder holds, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.manifest = json.loads((folder / "manifest.json").read_bytes())
        self.file = folder / "model.safetensors"
        self.weights = {k: v.copy() for k, v in load(self.file.read_bytes()).items()}

    @property
    def config(self) -> dict[str, Any]:
        return dict.__getitem__(self.manifest, "config")  # type: ignore[no-any-return]

    @property
    def fasttext(self) -> dict[str, Any]:
        return self.config["fasttext"]  # type: ignore[no-any-return]

    def seal(self) -> None:
        """Writes it back with hashes that are right."""
        data = save({k: np.ascontiguousarray(v) for k, v in self.weights.items()})
        self.file.write_bytes(data)
        self.manifest["files"] = {self.file.name: entry(data)}
        self.file.with_name("manifest.json").write_bytes(seal(self.manifest))


def argument(name: str, value: Any) -> Callable[[Parts], None]:
    return lambda p: p.fasttext["arguments"].update({name: value})


def weight(name: str, change: Callable[[Any], Any]) -> Callable[[Parts], None]:
    return lambda p: p.weights.update({name: change(p.weights[name])})


def spoilt(array: Any, at: int, value: float) -> Any:
    array.reshape(-1)[at] = value
    return array


CHANGES: dict[str, Callable[[Parts], object]] = {
    "no arguments": lambda p: p.config.pop("fasttext"),
    "an argument too many": argument("more", 1),
    "dim that is true": argument("dim", True),
    "dim of another matrix": argument("dim", 4),
    "dim below 1": argument("dim", 0),
    "an endless n-gram": argument("word_ngrams", 2**20),
    "an argument beyond 32 bits": argument("bucket", 2**31),
    "no such loss": argument("loss", 5),
    "one_vs_all of a softmax": lambda p: p.config.update(one_vs_all=True),
    "word vectors": argument("model", 1),
    "t that is no number": argument("t", "x"),
    "n_words too large": lambda p: p.fasttext.update(n_words=100),
    "n_words below 0": lambda p: p.fasttext.update(n_words=-1),
    "other labels than words": lambda p: p.fasttext.update(n_words=4),
    "n_tokens below 0": lambda p: p.fasttext.update(n_tokens=-1),
    "qout that is 1": lambda p: p.fasttext.update(qout=1),
    "an empty prefix": lambda p: p.config.update(label_prefix=""),
    "half a character as prefix": lambda p: p.config.update(label_prefix="\ud800"),
    "no prefix": lambda p: p.config.pop("label_prefix"),
    "labels of another order": lambda p: p.manifest["labels"].reverse(),
    "a missing tensor": lambda p: p.weights.pop("counts"),
    "an unknown tensor": lambda p: p.weights.update(more=np.zeros((1, 1), np.float32)),
    "counts of another type": weight("counts", lambda a: a.astype(np.int32)),
    "counts of another shape": weight("counts", lambda a: a[None]),
    "a count below 0": weight("counts", lambda a: spoilt(a, 0, -1)),
    "ends that go back": weight("ends", lambda a: a[::-1]),
    "ends beyond the words": weight("ends", lambda a: spoilt(a, -1, 10**9)),
    "a NUL in a word": weight("words", lambda a: spoilt(a, 0, 0)),
    "a label twice": weight("words", lambda a: spoilt(a, -1, ord("y"))),
    "an output that is cut": weight("output", lambda a: a[:-1]),
    "an output that is not finite": weight("output", lambda a: spoilt(a, 0, np.nan)),
}
DENSE_CHANGES: dict[str, Callable[[Parts], object]] = {
    "an input that is cut": weight("input", lambda a: a[1:]),
    "an input that is not finite": weight("input", lambda a: spoilt(a, 3, np.inf)),
    "more buckets than rows": argument("bucket", 10_000),
    "kept n-grams": lambda p: p.weights.update(pruned=np.zeros((1, 2), np.int32)),
    "an input that is quantised": lambda p: p.fasttext.update(input={"columns": 3, "dsub": 2}),
    "half a threshold": lambda p: p.config.update(threshold="half"),
}
QUANTISED_CHANGES: dict[str, Callable[[Parts], object]] = {
    "codes that are cut": weight("input.codes", lambda a: a[1:]),
    "codes that are too narrow": weight("input.codes", lambda a: a[:, 1:]),
    "centroids that are cut": weight("input.centroids", lambda a: a[1:]),
    "a centroid too large": weight("output.centroids", lambda a: spoilt(a, 0, 1e20)),
    "norms that are cut": weight("input.norm_codes", lambda a: a[1:]),
    "norm centroids that are cut": weight("input.norm_centroids", lambda a: a[1:]),
    "dsub below 1": lambda p: p.fasttext["input"].update(dsub=0),
    "another dsub": lambda p: p.fasttext["input"].update(dsub=1),
    "other columns": lambda p: p.fasttext["output"].update(columns=4),
    "sizes that are a list": lambda p: p.fasttext.update(input=[3, 2]),
    "a norm without a size": lambda p: p.fasttext["input"].pop("norm_dsub"),
    "qout that is false": lambda p: p.fasttext.update(qout=False),
    "an n-gram kept twice": weight("pruned", lambda a: a[[0, 0]]),
    "an n-gram beyond the buckets": weight("pruned", lambda a: spoilt(a, 0, 99)),
    "a kept n-gram too few": weight("pruned", lambda a: a[:1]),
}


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        *((DENSE, name) for name in [*CHANGES, *DENSE_CHANGES]),
        *((PRUNED, name) for name in [n for n in CHANGES if "output" not in n]),
        *((PRUNED, name) for name in QUANTISED_CHANGES),
    ],
    ids=str,
)
def test_what_somebody_made_is_refused_in_one_line(spec: Spec, change: str, tmp_path: Path) -> None:
    _, path = imported(spec, tmp_path)
    parts = Parts(path)
    ({**CHANGES, **DENSE_CHANGES, **QUANTISED_CHANGES})[change](parts)
    parts.seal()
    with pytest.raises(DataError) as caught:
        open_stored(Store(tmp_path / "store").open("m@1")[0]).probabilities(TEXTS)
    assert str(path) in caught.value.message and caught.value.message.isprintable()


def test_a_model_of_another_kind_is_not_written(tmp_path: Path) -> None:
    _, path = imported(DENSE, tmp_path)
    parts = Parts(path)
    parts.manifest["kind"] = "fasttext"
    parts.seal()
    with pytest.raises(UsageError, match="cannot hold a model of kind fasttext") as caught:
        stored_fasttext(Store(tmp_path / "store").open("m@1")[0])
    assert caught.value.hint == "train-fasttext --fasttext-compatible"
