"""Small panels of curves with intervals, as an SVG that needs nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

COLUMNS = 4
WIDTH, HEIGHT, GAP, LEFT, TOP = 176, 118, 28, 44, 58
COLOURS = ("#1f5fa8", "#c2540a", "#2e7d4f")
DASHES = ("", "5 3", "2 2")
INK, PALE = "#24292f", "#d0d7de"


@dataclass(frozen=True)
class Series:
    """A curve: ``points`` are (x, value, low, high), x rising."""

    name: str
    points: list[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Panel:
    """Curves over one pair of axes."""

    title: str
    series: list[Series]


@dataclass(frozen=True)
class Scale:
    """From data to places inside a panel."""

    x_most: float
    low: float
    high: float

    def x(self, value: float) -> float:
        """To the right of the panel's left border."""
        return WIDTH * value / self.x_most

    def y(self, value: float) -> float:
        """Below the panel's upper border."""
        return HEIGHT * (self.high - value) / (self.high - self.low)


def draw(groups: dict[str, list[Panel]], caption: str) -> str:
    """The picture: under each group's title its panels, which share their axes."""
    names = list(dict.fromkeys(s.name for ps in groups.values() for p in ps for s in p.series))
    parts, top = [legend(names, caption)], 34.0
    for title, panels in groups.items():
        parts.append(text(LEFT, top + 14, title, size=13, weight="bold"))
        scale = scale_of(panels)
        for i, panel in enumerate(panels):
            x = LEFT + (i % COLUMNS) * (WIDTH + GAP)
            y = top + 44 + (i // COLUMNS) * (HEIGHT + TOP)
            parts.append(f'<g transform="translate({x},{y:.0f})">')
            parts += panel_parts(panel, scale, names, first=i % COLUMNS == 0)
            parts.append("</g>")
        top += 44 + math.ceil(len(panels) / COLUMNS) * (HEIGHT + TOP)
    width = LEFT + COLUMNS * (WIDTH + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}" width="{width}" '
        f'height="{top:.0f}" font-family="system-ui, sans-serif" fill="{INK}">\n'
        '<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def scale_of(panels: list[Panel]) -> Scale:
    """Axes that hold every interval, in steps of a twentieth."""
    points = [point for panel in panels for series in panel.series for point in series.points]
    low = math.floor(min(p[2] for p in points) * 20) / 20
    high = math.ceil(max(p[3] for p in points) * 20) / 20
    return Scale(max(p[0] for p in points), low, max(high, low + 0.05))


def panel_parts(panel: Panel, scale: Scale, names: list[str], *, first: bool) -> list[str]:
    """Title, grid, bands and curves."""
    parts = [text(0, -8, panel.title, size=12)]
    step = 0.05 if scale.high - scale.low < 0.3 else 0.1
    ticks = [scale.low + step * i for i in range(round((scale.high - scale.low) / step) + 1)]
    for value in ticks:
        y = scale.y(value)
        parts.append(f'<path d="M0 {y:.1f}H{WIDTH}" stroke="{PALE}"/>')
        if first:
            parts.append(text(-6, y + 4, f"{value:.2f}", size=10, anchor="end"))
    xs = [point[0] for point in panel.series[0].points]
    for value in xs:
        if value == 0 or value >= scale.x_most / 8:  # nearer ones would lie over each other
            parts.append(text(scale.x(value), HEIGHT + 14, f"{value:g}", size=10, anchor="middle"))
    for series in panel.series:
        parts += curve(series, scale, names.index(series.name))
    return parts


def curve(series: Series, scale: Scale, number: int) -> list[str]:
    """A band from the lower to the upper ends, and a line with dots."""
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    upper = [f"{scale.x(x):.1f} {scale.y(high):.1f}" for x, _, _, high in series.points]
    lower = [f"{scale.x(x):.1f} {scale.y(low):.1f}" for x, _, low, _ in reversed(series.points)]
    middle = [(scale.x(x), scale.y(value)) for x, value, _, _ in series.points]
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in middle)
    return [
        f'<path d="M{"L".join([*upper, *lower])}Z" fill="{colour}" opacity="0.15"/>',
        f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.8" '
        f'stroke-dasharray="{dash}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>' for x, y in middle),
    ]


def legend(names: list[str], caption: str) -> str:
    """A stroke and a name for each curve, then what is drawn."""
    parts, x = [], float(LEFT)
    for i, name in enumerate(names):
        parts.append(
            f'<path d="M{x} 18h26" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="2" '
            f'stroke-dasharray="{DASHES[i % len(DASHES)]}"/>'
        )
        parts.append(text(x + 32, 22, name, size=12))
        x += 50 + 7.5 * len(name)
    parts.append(text(x, 22, caption, size=12))
    return "\n".join(parts)


def text(
    x: float, y: float, words: str, *, size: int, anchor: str = "start", weight: str = "normal"
) -> str:
    """A line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )
