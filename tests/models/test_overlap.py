"""Windows of rows that overlap, and back."""

from __future__ import annotations

import pytest
import torch

from nlpcli.models.overlap import Overlap


@pytest.mark.parametrize(("half", "size"), [(0, 16), (3, 16), (8, 16), (9, 32), (20, 64)])
def test_blocks_see_their_rows_and_give_them_back(half: int, size: int) -> None:
    n = 128
    overlap = Overlap(n, half)
    assert (overlap.size, overlap.blocks) == (size, n // size)
    rows = torch.randn(n + 2 * half, 3, generator=torch.Generator().manual_seed(1))
    windows = overlap.windows(rows)
    for block in range(overlap.blocks):
        first = block * size
        assert torch.equal(windows[block], rows[first : first + size + 2 * half])
    parts = torch.randn(windows.shape, generator=torch.Generator().manual_seed(2))
    wanted = torch.zeros_like(rows)
    for block in range(overlap.blocks):
        wanted[block * size : (block + 1) * size + 2 * half] += parts[block]
    found = overlap.fold(parts, torch.full_like(rows, 7.0))
    assert torch.allclose(found, wanted, atol=1e-6)


def test_the_band_is_what_each_place_sees() -> None:
    overlap = Overlap(32, 2)
    blocks = torch.arange(overlap.blocks * overlap.size * overlap.width).view(
        overlap.blocks, overlap.size, overlap.width
    )
    band = overlap.band(blocks)
    for block in range(overlap.blocks):
        for place in range(overlap.size):
            assert torch.equal(band[block, place], blocks[block, place, place : place + 5])


def test_other_numbers_of_places_are_refused() -> None:
    with pytest.raises(ValueError, match="24 places are no multiple of 16"):
        Overlap(24, 1)
