"""Readers and arbitrary input: an answer, or a typed refusal in one line; NLPCLI_EXAMPLES many."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpcli.data.rows import FORMATS
from nlpcli.errors import NlpcliError
from nlpcli.store.classifier import read_arrays, read_classifier
from nlpcli.store.manifest import Manifest
from nlpcli.store.states import RunState, RunStates
from nlpcli.store.store import Store

from .forging import Parts, forge
from .fuzzing import VALUES, Readers, change_value, fuzz, mutate, outcome
from .tiny import store, tiny  # noqa: F401

EXAMPLES = int(os.environ.get("NLPCLI_EXAMPLES", "100"))
bounded = settings(deadline=None, max_examples=EXAMPLES, derandomize=EXAMPLES <= 100)


@pytest.fixture(scope="module")
def readers() -> Readers:
    return Readers()


def test_mutations_of_good_inputs() -> None:
    problems: list[str] = []
    found = fuzz(seed=7, inputs=15 * EXAMPLES, problems=problems)
    assert problems == []
    assert found["untyped"] == found["slow"] == 0
    assert found["inputs"] == 15 * EXAMPLES == found["read"] + found["refused"]
    assert min(found["read"], found["refused"]) > EXAMPLES


@bounded
@given(
    data=st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))
)
def test_any_manifest(data: bytes) -> None:
    with pytest.raises(NlpcliError, match=r"^m: "):
        Manifest.from_json(data, "m")


@bounded
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_configuration(readers: Readers, data: bytes) -> None:
    assert outcome(lambda: readers.config(data)) in ("read", "refused")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["fail", "skip"])
def test_any_rows(readers: Readers, format: str, mode: str) -> None:
    @bounded
    @given(
        data=st.binary(max_size=60)
        | st.text("\",\t\r\n\\'{}[]: a1_\0我", max_size=40).map(str.encode)
    )
    def check(data: bytes) -> None:
        assert outcome(lambda: readers.rows(data, format, mode)) in ("read", "refused")

    check()


@pytest.mark.parametrize("magic", [b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0"])
def test_any_packed_rows(readers: Readers, magic: bytes) -> None:
    drawn = random.Random(1)
    for _ in range(EXAMPLES):
        data = magic + drawn.randbytes(drawn.randrange(60))
        assert outcome(lambda data=data: readers.rows(data, "csv", "skip")) == "refused"


def answer(root: Path) -> None:
    """All that is done with a model."""
    folder, _ = Store(root).open("wide@1")
    classifier = read_classifier(folder)
    with np.errstate(all="ignore"):
        classifier.probabilities(["good fine", "", "w1"])
    read_arrays(folder, classifier)


def spoiled(drawn: random.Random) -> object:
    """A change of one part of a model: of its bytes, or of a value in its documents."""
    what = drawn.randrange(4)

    def change(parts: Parts) -> None:
        if what < 2:
            name = ("model.safetensors", "optimizer.safetensors")[what]
            whole = parts.files()[name]
            length = 8 + int.from_bytes(whole[:8], "little")
            header = mutate(drawn, whole[8:length])
            size = drawn.choice((len(header), len(header), length - 8)).to_bytes(8, "little")
            parts.raw[name] = size + header + whole[length:]
        elif what == 2:
            parts.raw["tokenizer.json"] = mutate(drawn, parts.files()["tokenizer.json"])
        else:
            change_value(drawn, drawn.choice((parts.tokenizer, parts.cutting, parts.config)))

    return change


def test_spoiled_and_sealed_models(store: Path) -> None:  # noqa: F811
    good = store / "wide" / "1"
    kept = store / "kept"
    shutil.copytree(good, kept)
    drawn = random.Random(EXAMPLES)
    wrong = []
    for _ in range(4 * EXAMPLES):
        shutil.rmtree(good)
        shutil.copytree(kept, good)
        forge(good, spoiled(drawn))  # type: ignore[arg-type]
        said = outcome(lambda: answer(store))
        if said not in ("read", "refused"):
            wrong.append(said)
    assert wrong == []


def test_spoiled_and_sealed_states(tmp_path: Path) -> None:
    """With a right hash over it; the one before is taken when it makes no sense."""
    states = RunStates(tmp_path / "s")
    for step in (5, 9):
        states.save(step, RunState({"seed": 1}, {"w": np.ones(3)}, {"step": step}))
    path = states.folder / "9.state"
    whole = path.read_bytes()[32:]
    length = 8 + int.from_bytes(whole[:8], "little")
    drawn = random.Random(EXAMPLES)
    wrong = []
    for _ in range(4 * EXAMPLES):
        header = mutate(drawn, whole[8:length])
        if drawn.random() < 0.2:
            options = drawn.choice(VALUES)
            header = header.replace(b"seed", repr(options)[:40].encode())
        data = len(header).to_bytes(8, "little") + header + whole[length:]
        path.write_bytes(hashlib.sha256(data).digest() + data)
        try:
            state, _ = states.newest()
            assert state is not None
            assert isinstance(state.options, dict) and isinstance(state.numbers, dict)
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}: {header[:300]!r}")
    assert wrong == []


@bounded
@given(data=st.binary(max_size=80))
def test_any_state(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-state"
    folder.mkdir(exist_ok=True)
    for content in (data, hashlib.sha256(data).digest() + data):
        (folder / "3.state").write_bytes(content)
        state, warnings = RunStates(folder).newest()
        assert state is None and len(warnings) == 1
