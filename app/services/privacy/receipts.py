"""What a receipt of an erasure says: what went, what stays, why and until when. It holds no personal data."""

from collections.abc import Mapping
from datetime import datetime

from app.db import Doc
from app.models.base import rfc3339
from app.models.data_map import DATA_MAP
from app.services.privacy import whose

ACTIONS = {"delete": "deleted", "unlink": "unlinked"}


def of_erasure(request: Doc, *, now: datetime) -> Doc:
    """The receipt of a person's erasure, as its steps tell."""
    steps = request["steps"]
    counts: dict[str, int] = steps["records"]["counts"]
    gone = {(key.split(":")[0], key.split(":")[1]): number for key, number in counts.items()}
    return {
        "request_id": request["_id"],
        "kind": request["kind"],
        "received_at": rfc3339(request["received_at"]),
        "completed_at": rfc3339(now),
        "verified_at": rfc3339(steps["verify"]["at"]),
        "erased": erased(gone),
        "kept": kept(),
        "told": [f"{steps['tell']['counts'].get('events', 0)} labels, for their partners: event person.erased"],
    }


def erased(counts: Mapping[tuple[str, str], int]) -> list[Doc]:
    """What goes, as `whose.count` and `whose.erase` tell it."""
    return [
        {"what": what, "purpose": DATA_MAP[what].purpose, "action": ACTIONS[action], "documents": number}
        for (what, action), number in sorted(counts.items())
    ]


def kept() -> list[Doc]:
    """What stays of a person, and why."""
    stays = dict.fromkeys((collection.name, part.why) for collection, part in whose.kept())
    return [{"what": name, "why": why} for name, why in (*stays, *ELSEWHERE.items())]


ELSEWHERE = {
    "money_parties": (
        "whom a label's invoices name is the label's to say, and tax law's to keep: until the date that the label's "
        "billing records show"
    ),
    "suppressions": "a keyed hash of your address, so that you get no advertising again: as long as the service",
    "limits": "how often somebody tried to log in, under a keyed hash: at most an hour",
    "exports": "copies that people have had made of a label's data before: 7 days at most",
    "backups": "copies of the database, which nobody reads: 30 days; a restore erases again",
}
"""What the map's parts do not name."""
