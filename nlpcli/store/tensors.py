"""Tensors of a model folder, in safetensors files."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpcli.errors import DataError, shown
from nlpcli.store.draft import Draft
from nlpcli.store.folder import ModelFolder
from nlpcli.text.strict_json import parse_object

Arrays = dict[str, npt.NDArray[Any]]


def write_tensors(draft: Draft, name: str, arrays: Arrays) -> None:
    """Adds a file of tensors to a draft. Raises OutputFailed."""
    from safetensors.numpy import save

    draft.write(name, save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))


def load_tensors(folder: ModelFolder, name: str) -> Arrays:
    """The tensors of a verified file. Raises DataError for what safetensors cannot read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = folder.read(name)
    try:
        size = int.from_bytes(data[:8], "little")
        parse_object(data[8 : 8 + min(size, len(data))], f"{folder.path / name}")
        return load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{folder.path / name}: {shown(str(error), 120)}") from None
