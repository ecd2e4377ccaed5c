"""JSON lines -> rows."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nlpcli.data.json_cell import JsonCell
from nlpcli.data.line_parsing import LineByLine, checked_header, expect_whole
from nlpcli.data.lines import BadRow, bad_character, named_fault
from nlpcli.errors import DataError, shown

if TYPE_CHECKING:
    from nlpcli.data.rows import RowFormat

_WRONG_IN_TEXT = re.compile("[\0\ud800-\udfff]")


class _Number(str):
    """A number as it was written; only its digits are passed on."""

    __slots__ = ()


class JsonParser(LineByLine):
    """One object a line; the columns are the keys of the first, or of the first good one where bad
    ones are skipped."""

    def __init__(self, lines: Iterator[str], fmt: RowFormat, name: str) -> None:
        super().__init__(lines)
        self._separator, self._keep_json = fmt.label_separator, fmt.keep_json
        self._decode = json.JSONDecoder(
            object_pairs_hook=_once_each, parse_int=_Number, parse_float=_Number
        ).decode
        self._begun: deque[tuple[int, list[str] | BadRow]] = deque()
        skip = fmt.on_error == "skip"
        try:
            while not self._begins(fmt, name, skip=skip):
                pass
        except BadRow as bad:
            hint = bad.hint or "--on-error skip drops such rows"
            raise DataError(f"{name} line {self.line}: {bad.reason}", hint=hint) from None

    def _begins(self, fmt: RowFormat, name: str, *, skip: bool) -> bool:
        """Reads what may be the first row, and whether it is; bad ones are kept to be told of.

        Raises BadRow, unless such rows are skipped; DataError where there is none.
        """
        try:
            first = self._object()
            if first is None and not fmt.empty_columns:
                raise DataError(f"{name}: empty: no rows")
            self.header = list(fmt.empty_columns)
            if first is not None:
                self.header = checked_header(list(first[1]), name, self.line)
                if skip:
                    _expect_clean(first[0])
                self._begun.append((self.line, self._cells(*first)))
        except BadRow as bad:
            if not skip:
                raise
            self._begun.append((self.line, bad))
            return False
        self._known = frozenset(self.header)
        return True

    def _object(self) -> tuple[str, dict[str, Any]] | None:
        while (line := self._next_line()) is not None:
            if line.isspace():
                continue
            try:
                value = self._decode(line.rstrip())
            except json.JSONDecodeError as error:
                reason = f"not JSON at character {error.colno}: {error.msg}"
                raise BadRow(reason, [line.rstrip("\r\n")]) from None
            except (ValueError, RecursionError) as error:
                raise BadRow(_json_fault(error), [line.rstrip("\r\n")]) from None
            if not isinstance(value, dict):
                raise BadRow("not a JSON object", [line.rstrip("\r\n")])
            return line, value
        return None

    def next_row(self) -> list[str] | None:
        """Values in the order of the header; text as it is, null empty, else as JSON. With a label
        separator the items of a list are joined by it."""
        if self._begun:
            self.line, row = self._begun.popleft()  # the last is of the line that was read last
            if isinstance(row, BadRow):
                raise row
            return row
        found = self._object()
        if found is None:
            return None
        line, value = found
        extra = next((key for key in value if key not in self._known), None)
        if extra is not None:
            raise BadRow(f"key {shown(extra)} is not in the first row", [line.rstrip("\r\n")])
        return self._cells(line, value)

    def _cells(self, line: str, value: dict[str, Any]) -> list[str]:
        try:
            if any(isinstance(v, dict | list) for v in value.values()):
                # numbers inside must be numbers again when they are written as JSON
                value = value | _nested(json.loads(line))
            cells = [self._kept(value.get(key)) for key in self.header]
        except (ValueError, RecursionError) as error:
            raise BadRow(_json_fault(error), [line.rstrip("\r\n")]) from None
        # an escape may stand for what no UTF-8 output can hold
        if "\\u" in line:
            for key, cell in zip(self.header, cells, strict=True):
                wrong = _WRONG_IN_TEXT.search(key + cell)
                if wrong:
                    code = f"\\u{ord(wrong.group()):04x}"
                    raise BadRow(f"{code} in {shown(key)} is not text", [line.rstrip("\r\n")])
        return cells

    def _kept(self, value: Any) -> str:
        cell = self._cell(value)
        if not self._keep_json or type(value) is str:
            return cell
        if isinstance(value, _Number):
            return JsonCell(cell, cell)
        try:
            return JsonCell(cell, json.dumps(value, ensure_ascii=False, allow_nan=False))
        except ValueError:  # NaN, which Python reads and JSON has not
            return cell

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return str(value)
        if value is None:
            return ""
        if self._separator is not None and isinstance(value, list):
            items = [
                item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
                for item in value
                if item is not None
            ]
            expect_whole(items, self._separator)
            return self._separator.join(items)
        return json.dumps(value, ensure_ascii=False)


def _expect_clean(line: str) -> None:
    """Raises BadRow for a NUL or bytes that are not UTF-8."""
    found = bad_character(line)
    if found is not None:
        before = len(line[: found.start()].encode("utf-8", "surrogateescape"))
        reason = f"byte {before + 1}: {named_fault(found.group())}"
        raise BadRow(reason, [line.rstrip("\r\n")])


def _nested(value: dict[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if isinstance(inner, dict | list)}


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a key that occurs twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {shown(key)} occurs twice")
            seen.add(key)
    return found


def _json_fault(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "JSON that is nested too deeply"
    if "integer string conversion" in str(error):
        return "a number of more than 4,300 digits inside a list or object"
    return str(error)
