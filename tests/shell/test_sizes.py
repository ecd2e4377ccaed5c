"""Sizes as they are typed."""

from __future__ import annotations

import pytest

from nlpcli.errors import UsageError
from nlpcli.shell.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("20000", 20_000), ("2M", 2_000_000), ("500k", 500_000), ("1.5G", 1_500_000_000),
     ("0.0015K", 1), (" 7K ", 7000)],
)  # fmt: skip
def test_a_size(text: str, size: int) -> None:
    assert parse_size(text, "--model-size") == size


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "2MB", "M", "1e6", "nan", "0.0001K", "٣", "1 M", "9" * 16, ".5K"]
)
def test_no_size(text: str) -> None:
    with pytest.raises(UsageError, match=r"--model-size .*wanted bytes") as caught:
        parse_size(text, "--model-size")
    assert caught.value.exit_code == 2
