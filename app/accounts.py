"""What an operator does to an account: `python -m app.accounts COMMAND EMAIL`.

`make-staff`, `end-staff`: one of our support, who can look into a label for a stated reason and at most an hour, and
the label sees it (docs/audit.md). `disable`, `enable`: logged out everywhere, API secrets too, and let in no more.
`end-second-factor`: for who has lost theirs, or had a thief's put on. See who it is first.
"""

import asyncio
import sys

from pymongo.errors import PyMongoError

from app.clock import utc_now
from app.db import Database, Doc
from app.derived_keys import derive
from app.services.assets.opening import open_objects
from app.services.audit import Audit
from app.services.backups import journal, waiting
from app.services.backups.journal import Journal, Kind
from app.services.people import accounts, staff
from app.settings import Settings, load

COMMANDS = ("make-staff", "end-staff", "disable", "enable", "end-second-factor")
NOTED: dict[str, Kind] = {
    "disable": "account_disabled",
    "enable": "account_enabled",
    "end-second-factor": "factor_ended",
}
"""What an older backup must not undo."""


async def change(db: Database, audit: Audit, book: Journal, command: str, email: str) -> tuple[int, str]:
    """Do it, and note it outside; the exit status, and a sentence that says what was done."""
    account = await staff.get_account(db, email)
    if account is None:
        return 1, "Nobody has an account of this address. Nothing was changed."
    status, sentence = await _change(db, audit, command, account)
    if status == 0 and command in NOTED:
        await waiting.note(db, book, book.entry_of(NOTED[command], account["_id"], now=utc_now()))
    return status, sentence


async def _change(db: Database, audit: Audit, command: str, account: Doc) -> tuple[int, str]:
    user_id, now = account["_id"], utc_now()
    if command == "disable":
        await accounts.disable(db, audit, account, now=now)
        return 0, f"{user_id} is logged out everywhere, and cannot log in."
    if command == "enable":
        await accounts.enable(db, audit, account, now=now)
        return 0, f"{user_id} can log in again."
    if command == "end-second-factor":
        had_one = await accounts.end_second_factor(db, audit, account, now=now)
        return 0, f"{user_id} has no second factor {'any more' if had_one else 'and had none'}."
    if command == "end-staff":
        revoked, ended = await staff.revoke(db, audit, user_id, now=now)
        done = "is staff no more" if revoked else "was not staff"
        return 0, f"{user_id} {done}; {ended} open access to labels ended."
    if not account.get("email_verified_at"):
        return 1, f"{user_id} has not confirmed this address: anybody may have registered it. Nothing was changed."
    if not await staff.grant(db, audit, user_id, now=now):
        return 0, f"{user_id} is staff already. Nothing was changed."
    return 0, f"{user_id} is staff now. Looking into a label also needs a second factor and a reason."


async def run(settings: Settings, command: str, email: str) -> tuple[int, str]:
    """`change`, on the database and the storage of these settings."""
    db, objects = Database(settings.mongodb_url.get_secret_value()), open_objects(settings)
    book = Journal(objects, derive(settings, journal.KEY))
    try:
        return await change(db, Audit(db, derive(settings, "audit")), book, command, email)
    except PyMongoError as exc:
        return 1, f"The database is away or refuses ({type(exc).__name__}): run it again."
    finally:
        await objects.close()
        db.close()


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    if len(arguments) != 2 or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    status, sentence = asyncio.run(run(load(Settings), *arguments))
    print(sentence, file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
