"""The promises as a page: each with what was measured, and a small chart of its last thirty days."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from markupsafe import Markup

from app.pages import HEADERS as HEADERS
from app.pages import render
from app.services.promises.showing import Day, State

DAYS = 30
BAR, GAP, HEIGHT, LEAST = 10, 4, 60, 4
"""Of the chart, in pixels; a bar of nothing is `LEAST` high, so that it is seen that the day was measured."""
WORDS = {True: "Holds.", False: "Does not hold."}


def page_of(states: Sequence[State], days: Mapping[str, Sequence[Day]], *, now: datetime) -> str:
    """The page."""
    shown = [_shown(state, days.get(state.promise.id, ()), now.date()) for state in states]
    sections = [
        {"name": name, "promises": list(of_section)} for name, of_section in groupby(shown, lambda one: one["section"])
    ]
    return render("promises.html", title="Our promises, measured", summary=_summary(states), sections=sections)


def _summary(states: Sequence[State]) -> str:
    broken = [state for state in states if not state.holding]
    unknown = sum(not state.is_measured for state in broken)
    if not broken:
        return f"All {len(states)} promises hold."
    told = [f"{len(states) - len(broken)} of {len(states)} promises hold."]
    told += [f"Broken: {len(broken) - unknown}."] if len(broken) > unknown else []
    told += [f"Not measured lately: {unknown}."] if unknown else []
    return " ".join(told)


def _shown(state: State, days: Sequence[Day], today: date) -> dict[str, Any]:
    promise = state.promise
    known = {day.day: day for day in days}
    return {
        "id": promise.id,
        "section": promise.section,
        "quote": promise.quote,
        "plain": promise.plain,
        "rule": promise.rule,
        "state": WORDS[state.holding] if state.is_measured else "Not measured: nobody knows now whether it holds.",
        "measured": _measured(state),
        "checked_at": state.checked_at,
        "detail": state.detail if state.is_measured else "",
        "chart": _chart(state, [known.get(today - timedelta(days=back)) for back in reversed(range(DAYS))], today),
        "history": _history(state, days),
    }


def _measured(state: State) -> str:
    if state.figure is None or state.allowed is None:
        return "nothing"
    return f"{state.figure:g} {state.promise.unit}; allowed: {state.allowed:g}"


def _history(state: State, days: Sequence[Day]) -> str:
    """What the chart shows, in words."""
    if not days:
        return f"Nothing was measured in the last {DAYS} days."
    held = sum(day.holding for day in days)
    told = f"Measured on {len(days)} of the last {DAYS} days; held on {held} of them."
    figures = [(day.figure, day.day) for day in days if day.figure is not None]
    if figures:
        worst, on = max(figures)
        told += f" Worst: {worst:g} {state.promise.unit}, on {on.day} {on:%B %Y}."
    return told


def _chart(state: State, days: Sequence[Day | None], today: date) -> Markup:
    """A bar a day, and a line where the promise ends. It is the same for the same figures."""
    allowed = state.allowed or 0
    top = max([allowed, *(day.figure or 0 for day in days if day)]) or 1
    name = state.promise.id
    first = today - timedelta(days=DAYS - 1)
    bars = [_bar(day, place, top) for place, day in enumerate(days) if day]
    end = round(HEIGHT - allowed / top * HEIGHT, 1) if allowed else HEIGHT
    width = DAYS * (BAR + GAP)
    return Markup(
        '<svg role="img" aria-labelledby="chart-{name}" width="{width}" height="{height}" '
        'viewBox="0 0 {width} {height}">'
        '<title id="chart-{name}">{title}</title>{bars}'
        '<line class="line" x1="0" x2="{width}" y1="{end}" y2="{end}"/></svg>'
    ).format(
        name=name,
        width=width,
        height=HEIGHT,
        end=end,
        bars=Markup("").join(bars),
        title=f"{name}, {first.isoformat()} to {today.isoformat()}. {_history(state, [day for day in days if day])}",
    )


def _bar(day: Day, place: int, top: float) -> Markup:
    """One that was broken is as high as the chart: it is told by its form, too."""
    high = HEIGHT if not day.holding else max(LEAST, round((day.figure or 0) / top * HEIGHT, 1))
    kind = "held" if day.holding else "broken"
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        kind, place * (BAR + GAP), round(HEIGHT - high, 1), BAR, high
    )
