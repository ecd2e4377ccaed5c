"""A value of a JSON line on its way through the program, which takes cells for text."""

from __future__ import annotations


class JsonCell(str):
    """A cell as every format shows it, and the ``json`` that it was: a number, true, a list."""

    json: str

    def __new__(cls, text: str, json: str) -> JsonCell:
        """``text`` with what it was read from."""
        cell = super().__new__(cls, text)
        cell.json = json
        return cell
