"""Records of money, as a label reads them. Ids and filters name the label: what is another's is not there."""

from app.db import Database, Doc
from app.errors import NotFound
from app.services.pages import Cursor


async def page_of(db: Database, label_id: str, kind: str, *, after: Cursor | None, limit: int) -> list[Doc]:
    """Invoices or payments, the newest first; one more than `limit` if there are more."""
    query: Doc = {"label_id": label_id, "kind": kind}
    if after is not None:
        query |= {"at": {"$lte": after[0]}, "$nor": [{"at": after[0], "_id": {"$gte": after[1]}}]}
    found = db.open("money_records").find(query).sort([("at", -1), ("_id", -1)])
    return await found.limit(limit + 1).to_list()


async def need(db: Database, label_id: str, kind: str, record_id: str) -> Doc:
    """One invoice or payment. Raises `NotFound`."""
    found = await db.open("money_records").find_one({"_id": record_id, "label_id": label_id, "kind": kind})
    if found is None:
        raise NotFound
    return found


async def taken_back(db: Database, label_id: str, payments: list[Doc]) -> dict[str, list[Doc]]:
    """Refunds and disputes of these payments, by Stripe's id of the payment, the oldest first."""
    ids = [one["provider_id"] for one in payments]
    found = db.open("money_records").find({"label_id": label_id, "payment_id": {"$in": ids}})
    by_payment: dict[str, list[Doc]] = {one: [] for one in ids}
    for record in sorted(await found.to_list(), key=lambda one: (one["at"], one["_id"])):
        by_payment[record["payment_id"]].append(record)
    return by_payment


async def ids_of_invoices(db: Database, label_id: str, payments: list[Doc]) -> dict[str, str]:
    """Our ids of the invoices that these payments are for, by Stripe's."""
    wanted = [one["invoice_id"] for one in payments if one["invoice_id"]]
    found = db.open("money_records").find({"label_id": label_id, "provider_id": {"$in": wanted}}, {"provider_id": 1})
    return {one["provider_id"]: one["_id"] async for one in found}
