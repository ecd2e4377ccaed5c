"""Bytes in: a path or stdin, packed or not, in blocks as they arrive."""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

from nlpcli.errors import DataError, InputMissing, Unavailable

BLOCK = 1 << 18
_GZIP, _BZ2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_MAGICS = (_GZIP, _BZ2, _XZ, _ZSTD)


class Source:
    """An open input. ``blocks`` yields what has arrived, unpacked; ``sha256`` is over those bytes.

    Raises InputMissing when it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = "<stdin>" if path == "-" else path
        self._digest = hashlib.sha256()
        if path == "-":
            self._handle = sys.stdin.fileno()
            return
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if os.path.isdir(path):
                raise IsADirectoryError(21, "Is a directory")
        except OSError as error:
            raise InputMissing(f"{path}: {error.strerror}") from None

    def blocks(self) -> Iterator[bytes]:
        """Unpacked bytes, never empty; recognises gzip, bzip2, xz and zstd by their first bytes."""
        raw = self._raw()
        head = b""
        for block in raw:
            head += block
            # "text\n" alone is an answerable header: wait only for what may still be a packed file
            if not any(magic.startswith(head[:6]) for magic in _MAGICS):
                break
        unpack = self._unpacker(head)
        stream = _chain(head, raw)
        for block in stream if unpack is None else self._unpacked(stream, unpack):
            self._digest.update(block)
            yield block

    def sha256(self) -> str:
        """Of all bytes yielded so far, in hexadecimal."""
        return self._digest.hexdigest()

    def _raw(self) -> Iterator[bytes]:
        while True:
            try:
                block = os.read(self._handle, BLOCK)
            except OSError as error:
                raise InputMissing(f"{self.name}: {error.strerror}") from None
            if not block:
                return
            yield block

    def _unpacker(self, head: bytes) -> Callable[[], Any] | None:
        if head.startswith(_GZIP):
            return lambda: zlib.decompressobj(31)
        if head.startswith(_BZ2):
            return bz2.BZ2Decompressor
        if head.startswith(_XZ):
            return lzma.LZMADecompressor
        if head.startswith(_ZSTD):
            try:
                import zstandard
            except ImportError:
                raise Unavailable(
                    f"{self.name}: packed with zstd, and the package zstandard is not installed",
                    hint="pip install zstandard",
                ) from None
            return cast(Callable[[], Any], zstandard.ZstdDecompressor().decompressobj)
        return None

    def _unpacked(self, stream: Iterator[bytes], make: Callable[[], Any]) -> Iterator[bytes]:
        """Members one after the other; at most 4 blocks are unpacked at a time."""
        unpacker = make()
        try:
            for block in stream:
                while block:
                    if unpacker.eof:
                        unpacker = make()
                    out, block = _step(unpacker, block)
                    if out:
                        yield out
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
            raise DataError(f"{self.name}: packed data is damaged: {error}") from None
        except Exception as error:
            if type(error).__module__.startswith("zstandard"):
                raise DataError(f"{self.name}: packed data is damaged: {error}") from None
            raise
        if not unpacker.eof:
            raise DataError(f"{self.name}: packed data is truncated")


def _step(unpacker: Any, block: bytes) -> tuple[bytes, bytes]:
    """Some unpacked bytes and the input that is left."""
    if hasattr(unpacker, "unconsumed_tail"):
        out = unpacker.decompress(block, 4 * BLOCK)
        return out, unpacker.unconsumed_tail or unpacker.unused_data
    if not hasattr(unpacker, "needs_input"):
        return unpacker.decompress(block), unpacker.unused_data
    out = [unpacker.decompress(block, 4 * BLOCK)]
    while not unpacker.eof and not unpacker.needs_input:
        out.append(unpacker.decompress(b"", 4 * BLOCK))
    return b"".join(out), unpacker.unused_data


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest
