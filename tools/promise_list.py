"""`python -m tools.promise_list`: write `docs/promises.md` anew from the list of promises, to standard output."""

import sys
from pathlib import Path

from app.services.promises.listing import BINDS_NOBODY, PROMISES
from app.services.promises.promise import SOON, Promise

HERE = Path(__file__).parent


def page() -> str:
    """The document."""
    rows = "".join(_row(promise) for promise in PROMISES)
    others = "".join(f"- “{line}” {why}\n" for line, why in BINDS_NOBODY.items())
    return (
        (HERE / "promises_head.md").read_text()
        + "| Section | The policy says | What we do | What is measured | Id |\n| --- | --- | --- | --- | --- |\n"
        + f"{rows}\nSentences that promise nothing:\n\n{others}"
        + (HERE / "promises_tail.md").read_text()
    )


def _row(promise: Promise) -> str:
    every = "5 minutes" if promise.every == SOON else "hour"
    cells = (promise.section, f"“{promise.quote}”", promise.plain, f"{promise.rule} Every {every}.", f"`{promise.id}`")
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
