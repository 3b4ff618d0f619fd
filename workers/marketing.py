"""Marketing mail: `python -m workers.marketing start FILE | show CAMPAIGN | stop CAMPAIGN`, with a worker's settings.

FILE is plain text: the first line is the subject, then paragraphs with empty lines between. It goes to everybody who
consents to marketing mail and has confirmed the address, each once, with a link that ends such mails. `start` asks
first; `--yes` does not. See docs/consent.md.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pymongo.errors import PyMongoError

from app import logs
from app.clock import utc_now
from app.db import Database
from app.services.marketing import campaigns
from app.services.marketing.permits import Campaigning, campaigning
from app.settings import WorkerSettings, load

LONGEST_SUBJECT = 120


class BadText(Exception):
    """A file that makes no mail. Its text is a sentence."""


def read(text: str) -> tuple[str, list[str]]:
    """The subject and the paragraphs of a file. Raises `BadText`."""
    title, _, rest = text.strip().partition("\n")
    title = title.strip()
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", rest) if part.strip()]
    if not title.isprintable() or not 0 < len(title) <= LONGEST_SUBJECT:
        raise BadText(f"The first line must be a subject of at most {LONGEST_SUBJECT} characters.")
    if not paragraphs:
        raise BadText("Below the subject there must be at least one paragraph.")
    return title, paragraphs


async def run(db: Database, how: Campaigning, command: str, told: str, *, agreed: bool) -> tuple[int, str]:
    """Do it; the exit status, and a sentence. `told` is the text or the campaign's id. Raises `BadText`."""
    if command == "start":
        (title, paragraphs), now = read(told), utc_now()
        if not agreed and not ask(title, paragraphs, await campaigns.audience(db, how, now=now)):
            return 1, "Nothing was sent."
        told = await campaigns.start(db, title, paragraphs, now=now)
    if command == "stop":
        await campaigns.stop(db, told)
    campaign = await campaigns.get_campaign(db, told)
    if campaign is None:
        return 1, "There is no such campaign."
    states = await campaigns.outcome(db, told)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no mails yet"
    return 0, f"{told} is {campaign['state']}: {counts}."


def ask(title: str, paragraphs: Sequence[str], people: int) -> bool:
    """Whether somebody says yes, having seen it."""
    print("\n\n".join((title, *paragraphs)))
    try:
        said = input(f"\nSend this to everybody who consents (now {people})? [y/N] ")
    except EOFError:  # nobody is there to be asked
        return False
    return said.strip().lower() in ("y", "yes")


async def _run(settings: WorkerSettings, command: str, told: str, *, agreed: bool) -> tuple[int, str]:
    db = Database(settings.mongodb_url.get_secret_value())
    try:
        return await run(db, campaigning(settings), command, told, agreed=agreed)
    except PyMongoError as exc:
        return 1, f"The database is away or refuses ({type(exc).__name__}): run it again."
    finally:
        db.close()


def main(arguments: Sequence[str]) -> int:
    """Run the command; its exit status."""
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m workers.marketing", description=__doc__, formatter_class=how)
    parser.add_argument("command", choices=("start", "show", "stop"))
    parser.add_argument("told", metavar="FILE|CAMPAIGN")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    told = parser.parse_args(arguments)
    settings = load(WorkerSettings)
    logs.configure("WARNING")
    try:
        what = Path(told.told).read_text("utf-8-sig") if told.command == "start" else told.told
        status, sentence = asyncio.run(_run(settings, told.command, what, agreed=told.yes))
    except (BadText, OSError, UnicodeDecodeError) as exc:
        status, sentence = 1, str(exc) if isinstance(exc, BadText) else "The file cannot be read."
    print(sentence, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
