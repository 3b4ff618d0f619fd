"""Series as charts: SVG that runs nothing, loads nothing, says what it shows, and is the same for the same figures."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from app.db import Doc

sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
"""For plugins that we do not have, pygal hooks into every import of the process, in a way that Python warns of."""
SVG = "{http://www.w3.org/2000/svg}"
MOST_LINES = 8
MOST_LABELS = 12
HOLLOW = "fill: #ffffff"
STYLE = Style(
    background="#ffffff",
    plot_background="#ffffff",
    foreground="#333333",
    foreground_strong="#111111",
    foreground_subtle="#888888",
    opacity="1",
    font_family="sans-serif",
    colors=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"),
)
"""Colours that are told apart without seeing all of them (Okabe and Ito, 2008)."""


@dataclass(frozen=True)
class Line:
    """A figure over the days of a chart. `stands`: it is how something stood, and not what happened that day."""

    name: str
    values: Sequence[int | float | None]
    changing: frozenset[int] = frozenset()
    """The places of those that may still change."""
    stands: bool = False


def line_of(name: str, points: Mapping[date, Doc], days: Sequence[date], *, stands: bool) -> Line:
    """The line of what is told of some days; of the others there is nothing."""
    told = [points.get(day) for day in days]
    changing = frozenset(n for n, one in enumerate(told) if one and one["status"] == "partial")
    return Line(name, [one["value"] if one else None for one in told], changing, stands)


def line_chart(title: str, days: Sequence[date], lines: Sequence[Line]) -> bytes:
    """Up to eight lines over these days; how many are left out, the title says. A figure that is missing is a gap, and
    no zero; one alone between gaps is a dot; one that may still change is a hollow dot."""
    shown, left_out = lines[:MOST_LINES], lines[MOST_LINES:]
    most_known = max((sum(value is not None for value in line.values) for line in shown), default=0)
    notes = [f"{MOST_LINES} of {len(lines)} lines"] if left_out else []
    notes += ["hollow: may still change"] if any(line.changing for line in shown) else []
    title = f"{title} ({'; '.join(notes)})" if notes else title
    chart = pygal.Line(
        style=STYLE,
        js=(),
        title=title,
        width=900,
        height=420,
        show_dots=most_known <= 62,
        dots_size=2,
        legend_at_bottom=True,
        x_label_rotation=35,
        show_minor_x_labels=False,
        include_x_axis=True,
        no_data_text="No figures",
    )
    chart.uuid = "figures"
    step = -(-len(days) // MOST_LABELS)
    chart.x_labels = [day.isoformat() for day in days]
    chart.x_labels_major = [day.isoformat() for day in days[:: step or 1]]
    for line in shown:
        chart.add(line.name, [_dot(line, n) for n in range(len(line.values))], allow_interruptions=True)
    return _plain(chart.render(), title, _description(days, shown, left_out))


def _dot(line: Line, place: int) -> Any:
    value = line.values[place]
    return {"value": value, "style": HOLLOW} if place in line.changing and value is not None else value


def _plain(drawn: bytes, title: str, description: str) -> bytes:
    """The drawing without scripts, links and comments, one of which has the date in it; and with its description."""
    ElementTree.register_namespace("", SVG[1:-1])
    root = ElementTree.fromstring(drawn)  # noqa: S314, drawn by ourselves
    for parent in list(root.iter()):
        for child in [one for one in parent if one.tag in (f"{SVG}script", f"{SVG}title", f"{SVG}desc")]:
            parent.remove(child)
    root.attrib |= {"role": "img", "aria-labelledby": "chart-title chart-desc"}
    for name, text in (("desc", description), ("title", title)):
        element = ElementTree.Element(f"{SVG}{name}", {"id": f"chart-{name}"})
        element.text = text
        root.insert(0, element)
    svg: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return svg


def _description(days: Sequence[date], shown: Sequence[Line], left_out: Sequence[Line]) -> str:
    """What the lines show and what is not drawn, for who does not see them."""
    if not days:
        return "No days."
    told = [f"From {days[0]} to {days[-1]}.", *(_told(days, line) for line in shown)]
    if left_out:
        names = ", ".join(line.name for line in left_out)
        told.append(f"Not drawn, for {MOST_LINES} lines are the most: {names}.")
    return " ".join(told)


def _told(days: Sequence[date], line: Line) -> str:
    known = [(day, value) for day, value in zip(days, line.values, strict=True) if value is not None]
    values = [value for _, value in known]
    if not known:
        span = "no figures"
    elif line.stands:
        span = f"at {values[-1]:g} on {known[-1][0]}" + (f", from {values[0]:g} on {known[0][0]}" if known[1:] else "")
    else:
        span = f"from {min(values):g} to {max(values):g} a day"
    missing = len(line.values) - len(known)
    span += f", {missing} days without a figure" if missing else ""
    span += f", {len(line.changing)} days that may still change" if line.changing else ""
    return f"{line.name}: {span}."
