"""One server of forked runs a session, and the folder they start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..cli.conftest import fresh, models  # noqa: F401
from .injection import Server, build_shim
from .operations import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Skips where there is no C compiler for the shim."""
    folder = tmp_path_factory.mktemp("faults")
    shim = build_shim(folder)
    if shim is None:
        pytest.skip("needs a C compiler (cc)")
    server = Server(shim, folder / "scratch")
    yield World(server, folder)
    server.close()
