"""Random input for every reader: an answer or a typed refusal, never another error."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nlpcli.commands.app import build_command
from nlpcli.data.rows import FORMATS, RowFormat, open_rows
from nlpcli.errors import NlpcliError
from nlpcli.shell.config_file import Schema, read_settings
from nlpcli.store.manifest import FileEntry, Manifest

from .forging import seal

TOKENS = [
    b'"', b"'", b",", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"{", b"}", b"[", b"]", b":", b": ",
    b"- ", b"#", b"&a ", b"*a", b"!!", b"!", b"|", b">", b"%", b"@", b"`", b"?", b"---\n", b"...",
    b"~", b"null", b"true", b"no", b"1e999", b"-1", b"0", b"NaN", b"Infinity", b"9" * 5000,
    b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\\", b"\\ud800", b"\\u0000",
    "我".encode(), b"__label__", b"text", b"label", b"../", b"/", b" ", b"\x1b[31m", b"\x85",
    "\u2028".encode(), b"[" * 1100, b'{"a":' * 1100, b"<<", b"\x1f\x8b\x08", b"BZh91AY&SY",
    b"\xfd7zXZ\0", b"a" * 300,
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 10**30, -(10**400), 1.5, -0.0, 1e308, "", "x", "../x", "/x",
    "\0", "\ud800", "9" * 99, [], [[]], [None], ["a"], [1], {}, {"a": 1}, {"": {}},
    {"size": -1, "sha256": "0" * 64}, {"size": 1, "sha256": 3},
]  # fmt: skip
CONFIGS = [
    b"epochs: 5\nlr: 1.0\ntrain-fasttext:\n  epochs: 7\n",
    b"models:\n  store: a\n  prune: {keep: 3}\n",
    b"text_column: 'x'\nlowercase: no\n",
    "fail-under: [a=0.1]\nsegmenter: jieba # 我\n".encode(),
]
ROWS = [
    b'text,label\n"a ""b""",x\nc,y\n',
    b"text\tlabel\na\tx\r\nb\ty\r\n",
    b'{"text": "a", "label": ["x", {"y": 1}]}\n{"text": null}\n',
    b"__label__x a b\n__label__y __label__z c\n",
    "text\n好 的\n\n".encode(),
]


def mutate(drawn: random.Random, data: bytes) -> bytes:
    """One to four changes: bits, bytes, tokens put in, pieces dropped, doubled or moved."""
    found = bytearray(data)
    for _ in range(drawn.choice((1, 1, 1, 2, 2, 3, 4))):
        at = drawn.randrange(len(found) + 1)
        end = min(len(found), at + drawn.choice((1, 1, 2, 5, 20)))
        what = drawn.randrange(6)
        if what == 0 and at < len(found):
            found[at] ^= 1 << drawn.randrange(8)
        elif what == 1:
            found[at:at] = drawn.choice(TOKENS)
        elif what == 2:
            found[at:end] = drawn.choice(TOKENS)
        elif what == 3:
            del found[at:end]
        elif what == 4:
            found[at:at] = found[at:end]
        else:
            found[at:end] = drawn.randbytes(end - at)
    return bytes(found)


def a_manifest() -> dict[str, Any]:
    """A small one that is right."""
    manifest = Manifest(
        kind="fasttext", created_by="t", config={"dim": 1, "deep": {"a": [1.5]}},
        labels=["a", "我"], data={"rows": 2}, seed=1, metrics={"f1": 0.5}, name="m", version=1,
        files={"w.bin": FileEntry(3, "0" * 64)},
    )  # fmt: skip
    document: dict[str, Any] = json.loads(manifest.to_json())
    return document


def change_value(drawn: random.Random, document: Any) -> None:
    """Another value somewhere, a key more or a key less."""
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        if not keys:
            return
        key = drawn.choice(keys)
        inner = document[key]
        if not isinstance(inner, dict | list) or not inner or drawn.random() < 0.5:
            break
        document = inner
    what = drawn.randrange(4)
    if what == 0 and isinstance(document, dict):
        document[drawn.choice(("x", "", "../x", "manifest.json", "\ud800"))] = inner
    elif what == 1:
        del document[key]
    else:
        document[key] = drawn.choice(VALUES)


@dataclass
class Readers:
    """One call a reader; a file in memory for those that want a path."""

    handle: int = field(default_factory=lambda: os.memfd_create("input"))
    schema: Schema = field(default_factory=lambda: Schema.of(build_command()))
    manifest: bytes = field(default_factory=lambda: seal(a_manifest()))

    def path_of(self, data: bytes) -> str:
        """Where these bytes can be read, until the next call."""
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, data, 0)
        return f"/proc/self/fd/{self.handle}"

    def close(self) -> None:
        """Gives the file back."""
        os.close(self.handle)

    def config(self, data: bytes) -> None:
        """--config of a training command."""
        read_settings(self.path_of(data), self.schema, ("train-fasttext",))

    def rows(self, data: bytes, format: str, on_error: str) -> None:
        """All rows of an input."""
        stream = open_rows(self.path_of(data), RowFormat(format=format, on_error=on_error))
        for batch in stream.batches():
            assert all(len(row) == len(stream.header) for row in batch.rows)

    def inputs(self, drawn: random.Random) -> Iterator[tuple[str, bytes, Callable[[], object]]]:
        """Without end, in turn: a reader's name, the input, and the call."""
        while True:
            data = mutate(drawn, drawn.choice(CONFIGS))
            yield "config", data, lambda data=data: self.config(data)  # type: ignore[misc]
            data = mutate(drawn, drawn.choice(ROWS))
            form, mode = drawn.choice(FORMATS), drawn.choice(("fail", "skip"))
            yield "rows", data, lambda d=data, f=form, m=mode: self.rows(d, f, m)  # type: ignore[misc]
            if drawn.random() < 0.5:
                data = mutate(drawn, self.manifest)
            else:
                document = a_manifest()
                change_value(drawn, document)
                data = seal(document)
            yield "manifest", data, lambda data=data: Manifest.from_json(data, "m")  # type: ignore[misc]


def outcome(call: Callable[[], object]) -> str:
    """``read``, ``refused`` in one line, or what else was raised."""
    try:
        call()
    except NlpcliError as error:
        return "refused" if len(error.message.splitlines()) == 1 else "several lines"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def fuzz(seed: int, inputs: int, problems: list[str] | None = None) -> dict[str, int]:
    """``inputs`` mutations of good inputs; ``problems`` takes what was raised, and the input.

    ``untyped`` counts all that is neither an answer nor a refusal of one line; ``slow`` calls of
    more than a second.
    """
    found = dict.fromkeys(
        ("inputs", "config", "rows", "manifest", "read", "refused", "untyped", "slow"), 0
    )
    readers = Readers()
    source = readers.inputs(random.Random(seed))
    for (name, data, call), _ in zip(source, range(inputs), strict=False):
        begun = time.process_time()
        said = outcome(call)
        found["slow"] += time.process_time() - begun > 1
        found["inputs"] += 1
        found[name] += 1
        found[said if said in ("read", "refused") else "untyped"] += 1
        if said not in ("read", "refused") and problems is not None and len(problems) < 100:
            problems.append(f"{name}: {said[:200]}: {data[:500]!r}")
    readers.close()
    return found
