"""What all tests share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread_a_worker() -> None:
    """The workers of the suite share the processor already."""
    torch.set_num_threads(1)
