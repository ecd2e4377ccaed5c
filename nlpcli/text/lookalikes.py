"""Keys beside a key, and letters of other scripts that look like a Latin one."""

from __future__ import annotations

from functools import cache

_ROWS = (("1234567890", 0.0), ("qwertyuiop", 0.5), ("asdfghjkl", 0.75), ("zxcvbnm", 1.25))
"""A keyboard of the United States: keys of each row, and where the first one's middle lies."""

HOMOGLYPHS = {
    "a": "аɑ", "b": "Ьƅ", "c": "с", "d": "ԁ", "e": "еҽ", "f": "ғ", "g": "ɡց", "h": "һհ", "i": "іı",
    "j": "ј", "k": "κк", "l": "ӏǀ", "m": "м", "n": "ոп", "o": "оο", "p": "рρ", "q": "ԛզ", "r": "г",
    "s": "ѕ", "t": "т", "u": "υս", "v": "νѵ", "w": "ԝѡ", "x": "хχ", "y": "уү", "z": "ᴢ",
    "A": "АΑ", "B": "ВΒ", "C": "С", "D": "Ꭰ", "E": "ЕΕ", "F": "Ϝ", "G": "Ԍ", "H": "НΗ", "I": "ІΙ",
    "J": "Ј", "K": "КΚ", "L": "Ꮮ", "M": "МΜ", "N": "Ν", "O": "ОΟ", "P": "РΡ", "Q": "Ԛ", "R": "Ꭱ",
    "S": "Ѕ", "T": "ТΤ", "U": "Ս", "V": "Ѵ", "W": "Ԝ", "X": "ХΧ", "Y": "ҮΥ", "Z": "Ζ",
}  # fmt: skip
"""None of them is folded into its letter by NFKC, as wide letters would be."""


@cache
def keyboard_neighbours() -> dict[str, str]:
    """For each letter and digit, lower case, the letters and digits that a finger would hit too."""
    keys = {
        key: (first + i, y) for y, (row, first) in enumerate(_ROWS) for i, key in enumerate(row)
    }
    return {
        key: "".join(
            other
            for other, (ox, oy) in keys.items()
            if other != key and abs(ox - x) <= 1 and abs(oy - y) <= 1
        )
        for key, (x, y) in keys.items()
    }
