"""gzip, bzip2, xz and zstd: known by their first bytes, unpacked in bounded steps."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, cast

from nlpcli.errors import DataError, Unavailable

STEP = 1 << 20
"""Most bytes that are unpacked at a time (zstd: 16 times as many)."""
MAX_RATIO = 1000
FREE_BYTES = 256 << 20
"""More than this is not unpacked at a ratio above ``MAX_RATIO``: text does not pack like that."""
MAX_MEMORY = 256 << 20
_ZSTD_SLICE = 512  # a zstd block of 4 bytes may stand for 128 KiB

_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
# "BZh" alone may begin a header; the first block's mark, or that of the end, never does
_BZ2 = tuple(
    b"BZh%d" % level + mark
    for level in range(1, 10)
    for mark in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
)
_MAGICS = (_GZIP, _XZ, _ZSTD, *_BZ2)


Feed = Callable[[Any, bytes], Generator[bytes, None, bytes]]


@dataclass(frozen=True)
class Packing:
    """``make`` begins a member; ``feed`` gives it a block, yields what that unpacks to, and
    returns what lies behind the member's end."""

    make: Callable[[], Any]
    feed: Feed


def may_be_packed(head: bytes) -> bool:
    """Whether more bytes may still make this the beginning of a packed file."""
    return any(magic.startswith(head) for magic in _MAGICS)


def packing_of(head: bytes, name: str) -> Packing | None:
    """How a file that begins so is packed; None for plain bytes.

    Raises Unavailable where the library for it is not installed.
    """
    if head.startswith(_GZIP):
        return Packing(lambda: zlib.decompressobj(31), _feed_zlib)
    if head.startswith(_BZ2):
        return Packing(bz2.BZ2Decompressor, _feed_keeping)
    if head.startswith(_XZ):
        return Packing(lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY), _feed_keeping)
    if head.startswith(_ZSTD):
        try:
            import zstandard
        except ImportError:
            raise Unavailable(
                f"{name}: packed with zstd, and the package zstandard is not installed",
                hint="pip install zstandard",
            ) from None
        return Packing(lambda: zstandard.ZstdDecompressor().decompressobj(), _feed_slices)
    return None


def unpacked(stream: Iterator[bytes], packing: Packing, name: str) -> Iterator[bytes]:
    """The members one after the other, never an empty piece; what is packed twice stays packed.

    Raises DataError for data that is damaged, cut short, or grows beyond all measure.
    """
    taken = given = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for block in stream:
            taken += len(block)
            yield block

    try:
        for piece in _members(counted(), packing, name):
            given += len(piece)
            if given > FREE_BYTES and given > MAX_RATIO * taken:
                raise DataError(
                    f"{name}: {taken:,} packed bytes become more than {given:,}, "
                    f"wanted at most {MAX_RATIO:,} times as many"
                )
            if piece:
                yield piece
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise DataError(f"{name}: packed data is damaged: {error}") from None
    except Exception as error:
        if type(error).__module__.startswith("zstandard"):
            raise DataError(f"{name}: packed data is damaged: {error}") from None
        raise


def _members(stream: Iterator[bytes], packing: Packing, name: str) -> Iterator[bytes]:
    unpacker = packing.make()
    for block in stream:
        while block:
            if unpacker.eof:
                block = block.lstrip(b"\0")  # padding between and after members
                if not block:
                    break
                unpacker = packing.make()
            block = yield from packing.feed(unpacker, block)
    if not unpacker.eof:
        raise DataError(f"{name}: packed data is truncated")


def _feed_zlib(unpacker: Any, block: bytes) -> Generator[bytes, None, bytes]:
    while block and not unpacker.eof:
        yield unpacker.decompress(block, STEP)
        block = unpacker.unconsumed_tail
    return cast(bytes, unpacker.unused_data)


def _feed_keeping(unpacker: Any, block: bytes) -> Generator[bytes, None, bytes]:
    """For bz2 and lzma, which keep the input that a step leaves."""
    yield unpacker.decompress(block, STEP)
    while not unpacker.eof and not unpacker.needs_input:
        yield unpacker.decompress(b"", STEP)
    return cast(bytes, unpacker.unused_data)


def _feed_slices(unpacker: Any, block: bytes) -> Generator[bytes, None, bytes]:
    """For zstd, whose steps cannot be bounded."""
    at = 0
    while at < len(block) and not unpacker.eof:
        yield unpacker.decompress(block[at : at + _ZSTD_SLICE])
        at += _ZSTD_SLICE
    return cast(bytes, unpacker.unused_data) + block[at:]
