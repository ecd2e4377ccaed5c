"""torch takes over a second to import, which may happen while texts are read."""

from __future__ import annotations

import contextlib
import threading


def import_torch_aside() -> None:
    """Begins to import it in another thread."""
    threading.Thread(target=_import_torch, daemon=True).start()


def _import_torch() -> None:
    with contextlib.suppress(ImportError):  # where it is missing, the main thread says so
        import torch  # noqa: F401
