"""gzip, bzip2, xz and zstd: known by their first bytes, unpacked in bounded steps."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol, cast

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


class _Unpacker(Protocol):
    """Of zlib, bz2, lzma or zstandard; ``eof`` once the end of a member has been seen."""

    @property
    def eof(self) -> bool: ...


def may_be_packed(head: bytes) -> bool:
    """Whether more bytes may still make this the beginning of a packed file."""
    return any(magic.startswith(head) for magic in _MAGICS)


def unpacker_for(head: bytes, name: str) -> Callable[[], _Unpacker] | None:
    """What unpacks one member of a file that begins so; None for plain bytes.

    Raises Unavailable where the library for it is not installed.
    """
    if head.startswith(_GZIP):
        return lambda: cast(_Unpacker, zlib.decompressobj(31))
    if head.startswith(_BZ2):
        return bz2.BZ2Decompressor
    if head.startswith(_XZ):
        return lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY)
    if head.startswith(_ZSTD):
        try:
            import zstandard
        except ImportError:
            raise Unavailable(
                f"{name}: packed with zstd, and the package zstandard is not installed",
                hint="pip install zstandard",
            ) from None
        return lambda: cast(_Unpacker, zstandard.ZstdDecompressor().decompressobj())
    return None


def unpacked(stream: Iterator[bytes], make: Callable[[], _Unpacker], name: str) -> Iterator[bytes]:
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
        for piece in _members(counted(), make, name):
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


def _members(stream: Iterator[bytes], make: Callable[[], _Unpacker], name: str) -> Iterator[bytes]:
    unpacker = make()
    for block in stream:
        while block:
            if unpacker.eof:
                block = block.lstrip(b"\0")  # padding between and after members
                if not block:
                    break
                unpacker = make()
            block = yield from _fed(unpacker, block)
    if not unpacker.eof:
        raise DataError(f"{name}: packed data is truncated")


def _fed(unpacker: Any, block: bytes) -> Generator[bytes, None, bytes]:
    """What a block unpacks to, in steps; returns what lies behind the end of the member."""
    if hasattr(unpacker, "unconsumed_tail"):
        while block and not unpacker.eof:
            yield unpacker.decompress(block, STEP)
            block = unpacker.unconsumed_tail
        return cast(bytes, unpacker.unused_data)
    if hasattr(unpacker, "needs_input"):
        yield unpacker.decompress(block, STEP)
        while not unpacker.eof and not unpacker.needs_input:
            yield unpacker.decompress(b"", STEP)
        return cast(bytes, unpacker.unused_data)
    at = 0
    while at < len(block) and not unpacker.eof:
        yield unpacker.decompress(block[at : at + _ZSTD_SLICE])
        at += _ZSTD_SLICE
    return cast(bytes, unpacker.unused_data) + block[at:]
