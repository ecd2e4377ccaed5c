"""Rows of numbers as one ``.npy`` file of numpy, written as they come."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy


class NpyRows:
    """A float32 array [N, D] whose N is known at the end; ``stream`` can seek and is at its begin.

    Version 1.0 of the format, little-endian, rows one after the other.
    """

    def __init__(self, stream: BinaryIO, width: int) -> None:
        self._stream, self._width, self._n_rows = stream, width, 0
        self._write_header()
        self._header_end = stream.tell()

    def write(self, rows: npt.NDArray[np.float32]) -> None:
        """Adds rows, float32 [M, D]."""
        assert rows.shape[1:] == (self._width,)
        self._stream.write(np.ascontiguousarray(rows, "<f4").data)
        self._n_rows += len(rows)

    def finish(self) -> None:
        """Writes how many rows there are. The format leaves room for longer numbers."""
        self._stream.seek(0)
        self._write_header()
        assert self._stream.tell() == self._header_end
        self._stream.seek(0, 2)

    def _write_header(self) -> None:
        shape = (self._n_rows, self._width)
        npy.write_array_header_1_0(
            self._stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
