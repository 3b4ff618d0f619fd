"""What the end of a connection erases: every collection that says so on the data map, whichever they are."""

from typing import Literal

from app.db import Database, Doc
from app.models.data_map import DATA_MAP
from app.services import faults

NAMING = ("choices", "chosen", "choosing", "checks")
"""What of a connection names other accounts of the person, or tells of the account."""


async def erase(db: Database, connection: Doc, what: Literal["erase", "destroy"]) -> int:
    """Delete what came from the connection (`erase`), or its secrets (`destroy`); how many documents it was."""
    found = 0
    for name in _names(what):
        found += (await db.open(name).delete_many(_of(connection))).deleted_count
        if what == "erase":
            await faults.reach("leave_during_erase")
    return found


async def forget_names(db: Database, connection: Doc) -> None:
    """Take accounts' names and pictures from the connection, and the ids by which webhooks find it.

    Whose grant it is stays until the provider has been asked to revoke it.
    """
    update = {"$set": {"account": None, "account_ids": []}, "$unset": dict.fromkeys(NAMING, ""), "$inc": {"version": 1}}
    await db.open("connections").update_one(_names_in(connection), update)


async def left_of(db: Database, connection: Doc) -> dict[str, int]:
    """How many documents of the connection are still there, by their collection; empty when it is clean."""
    names = [*_names("erase"), *_names("destroy")]
    counts = {name: await db.open(name).count_documents(_of(connection)) for name in names}
    counts["connections"] = await db.open("connections").count_documents(_names_in(connection))
    return {name: count for name, count in counts.items() if count}


def _names(what: Literal["erase", "destroy"]) -> list[str]:
    return [name for name, collection in DATA_MAP.items() if collection.of_connection == what]


def _names_in(connection: Doc) -> Doc:
    """The connection, if it still names an account."""
    named: list[Doc] = [{"account": {"$ne": None}}, {"account_ids": {"$ne": []}}]
    named += [{name: {"$exists": True}} for name in NAMING]
    return {"_id": connection["_id"], "label_id": connection["label_id"], "$or": named}


def _of(connection: Doc) -> Doc:
    return {"label_id": connection["label_id"], "connection_id": connection["_id"]}
