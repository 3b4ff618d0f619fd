"""Percentiles of lengths of time, exact, in whole milliseconds. Of nothing there is none: not zero, but nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

HALF, NINE_TENTHS = Fraction(1, 2), Fraction(9, 10)


@dataclass(frozen=True)
class Spread:
    """How many there are, and how long they are, in seconds."""

    count: int
    median_s: float | None
    p90_s: float | None


def spread(lengths_ms: Sequence[int]) -> Spread:
    """Of these lengths, in any order."""
    ordered = sorted(lengths_ms)
    return Spread(len(ordered), _seconds(percentile(ordered, HALF)), _seconds(percentile(ordered, NINE_TENTHS)))


def percentile(ordered: Sequence[int], share: Fraction) -> Fraction | None:
    """The value that so great a share of the others is below, between its neighbours in proportion (as
    `statistics.quantiles` has it with `method="inclusive"`, and spreadsheets' PERCENTILE); none of nothing."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = place.numerator // place.denominator
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _seconds(ms: Fraction | None) -> float | None:
    return None if ms is None else float(ms / 1000)
