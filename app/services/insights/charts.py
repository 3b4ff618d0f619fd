"""Series as charts: SVG that runs nothing, loads nothing, says what it shows, and is the same for the same figures."""

import sys
from collections.abc import Sequence
from datetime import date
from xml.etree import ElementTree

import pygal
from pygal.style import Style

sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
"""For plugins that we do not have, pygal hooks into every import of the process, in a way that Python warns of."""
SVG = "{http://www.w3.org/2000/svg}"
MOST_LINES = 8
MOST_LABELS = 12
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


def line_chart(title: str, days: Sequence[date], lines: Sequence[tuple[str, Sequence[int | float | None]]]) -> bytes:
    """A line for each name, over these days: at most eight. A figure that is missing is a gap, and no zero;
    one alone between gaps is a dot."""
    most_known = max((sum(value is not None for value in values) for _, values in lines), default=0)
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
    for name, values in lines[:MOST_LINES]:
        chart.add(name, list(values), allow_interruptions=True)
    return _plain(chart.render(), title, _description(days, lines[:MOST_LINES]))


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


def _description(days: Sequence[date], lines: Sequence[tuple[str, Sequence[int | float | None]]]) -> str:
    """What the lines show, for who does not see them."""
    if not days:
        return "No days."
    told = [f"From {days[0]} to {days[-1]}."]
    for name, values in lines:
        known = [value for value in values if value is not None]
        missing = len(values) - len(known)
        span = f"from {min(known):g} to {max(known):g} a day" if known else "no figures"
        told.append(f"{name}: {span}" + (f", {missing} days without a figure." if missing else "."))
    return " ".join(told)
