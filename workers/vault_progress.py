"""How far a long command is: a bar on a terminal, plain lines elsewhere. On the standard error stream."""

import sys
from time import monotonic

WIDTH = 32
A_LINE_EVERY_S = 5.0


class Bar:
    """Counts towards `total`."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._begun = self._shown_at = monotonic()

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        now = monotonic()
        if sys.stderr.isatty():
            filled = WIDTH * min(self._done, self._total) // max(self._total, 1)
            print(
                f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {self._figures(now)}", end="", file=sys.stderr, flush=True
            )
        elif now - self._shown_at >= A_LINE_EVERY_S:
            self._shown_at = now
            print(self._figures(now), file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the last figures standing."""
        if sys.stderr.isatty():
            print(file=sys.stderr)
        else:
            print(self._figures(monotonic()), file=sys.stderr, flush=True)

    def _figures(self, now: float) -> str:
        per_s = self._done / max(now - self._begun, 0.001)
        return f"{self._what}: {self._done:,} of {self._total:,}, {per_s:,.0f}/s"
