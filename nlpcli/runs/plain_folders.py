"""What another program's model folder says of itself, before anything else of it is read."""

from __future__ import annotations

from pathlib import Path

from nlpcli.formats.bounded import open_bounded
from nlpcli.formats.hf_config import HfConfig, parse_config
from nlpcli.formats.hf_folder import CONFIG, LARGEST_JSON


def plain_config(path: Path) -> HfConfig | None:
    """Its configuration; None for a file that is too large to be one. Raises InputMissing,
    DataError."""
    with open_bounded(path / CONFIG) as reader:
        if reader.remaining > LARGEST_JSON:
            return None
        return parse_config(reader.read(reader.remaining, "the file"), str(path / CONFIG))
