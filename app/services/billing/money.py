"""Records of money: what was invoiced, paid, given back and contested, apart from the account.

A record holds numbers, amounts, dates and a country. Whom an invoice names, as the law asks for, is in a document of
its own (`money_parties`). Nobody's e-mail address and no card is in either. See docs/billing-records.md.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

from pymongo import UpdateOne

from app.clients.stripe_facts import Dispute, Invoice, Party, Payment, Refund
from app.clients.stripe_reading import Facts
from app.db import Database, Doc, Session
from app.ids import new_id
from app.models.keeping_law import Books, keeping_of
from app.services.billing.amounts import digits_of

Kind = Literal["invoice", "payment", "refund", "dispute"]
UNDATED: Mapping[Kind, str] = {"invoice": "credited", "payment": "status", "refund": "status", "dispute": "status"}
"""What changes of each without Stripe saying when: a credit note, a refund that fails, a dispute that is decided."""
LINKS = "links"
"""Addresses of an invoice's page and file: whoever has one sees the invoice. Not kept longer than the account."""


@dataclass(frozen=True)
class Record:
    """A record as Stripe has it now."""

    id: str
    kind: Kind
    provider_id: str
    fields: Doc
    at: datetime
    """Its own time: when it was finalized, or made."""
    latest_at: datetime
    """When something happened to it last, by which it belongs to a financial year."""
    party: Party
    sale: str
    """By what it belongs together: its invoice, else its payment."""


def records_of(facts: Facts, known: Mapping[str, Doc], *, now: datetime) -> list[Record]:
    """All there is to be recorded, with the ids by which some of it is `known`.

    Drafts are no invoices yet, and what was never tried to be paid is no payment. What happens to one record of a sale
    has happened to all of them: none may be gone before what was paid back of it.
    """
    found = [record for part in (_invoices(facts), _payments(facts)) for record in part]
    latest: dict[str, datetime] = {}
    for one in found:
        at = _latest(one, known.get(one.provider_id), now=now)
        latest[one.sale] = max(latest.get(one.sale, at), at)
    dated = [replace(one, latest_at=latest[one.sale]) for one in found]
    return [replace(one, id=known[one.provider_id]["_id"]) if one.provider_id in known else one for one in dated]


def _latest(one: Record, known: Doc | None, *, now: datetime) -> datetime:
    """When something happened to it last: by its own times, and by what was seen to change."""
    if known is None:
        return one.latest_at
    changed = known.get(UNDATED[one.kind]) != one.fields[UNDATED[one.kind]]
    before: datetime = known["latest_at"]
    return max(one.latest_at, before, *([now] if changed else []))


def _invoices(facts: Facts) -> Iterator[Record]:
    for one in facts.invoices:
        if one.status != "draft":
            yield _of_invoice(one)


def _payments(facts: Facts) -> Iterator[Record]:
    of_payment = {payment: one for one in facts.invoices for payment in one.payment_ids}
    for payment in (one for one in facts.payments if one.charge_id or one.status in ("processing", "succeeded")):
        paid_for = of_payment.get(payment.id)
        # what the customer is now would change the law of what was paid then; without an invoice no tax number is told
        party = paid_for.party if paid_for else Party(None, payment.country, {}, ())
        made = _of_payment(payment, paid_for, party)
        yield made
        for refund in payment.refunds:
            yield _of_taken_back("refund", refund, made)
        for dispute in facts.disputes.get(payment.id, ()):
            yield _of_taken_back("dispute", dispute, made)


def _of_invoice(one: Invoice) -> Record:
    fields: Doc = {
        "status": one.status,
        "number": one.number,
        "reason": one.reason,
        "currency": one.currency,
        "amount": one.total,
        "subtotal": one.subtotal,
        "tax": one.tax,
        "amount_due": one.amount_due,
        "amount_paid": one.amount_paid,
        "amount_remaining": one.amount_remaining,
        "credited": one.credited,
        "attempts": one.attempts,
        "next_attempt_at": one.next_attempt_at,
        "period_start": one.period_start,
        "period_end": one.period_end,
        "paid_at": one.paid_at,
        "closed_at": one.closed_at,
        LINKS: {"page": one.hosted_url, "pdf": one.pdf_url},
    }
    at = one.finalized_at or one.created_at
    latest = max(found for found in (at, one.paid_at, one.closed_at) if found)
    return Record(new_id("mny"), "invoice", one.id, fields, at, latest, one.party, one.id)


def _of_payment(one: Payment, paid_for: Invoice | None, party: Party) -> Record:
    fields: Doc = {
        "status": one.status,
        "currency": one.currency,
        "amount": one.amount,
        "amount_received": one.amount_received,
        "amount_refunded": one.amount_refunded,
        "failure_code": one.failure_code,
        "invoice_id": paid_for.id if paid_for else None,
        "charge_id": one.charge_id,
    }
    latest, sale = max(one.created_at, one.charged_at or one.created_at), paid_for.id if paid_for else one.id
    return Record(new_id("mny"), "payment", one.id, fields, one.created_at, latest, party, sale)


def _of_taken_back(kind: Kind, one: Refund | Dispute, payment: Record) -> Record:
    fields: Doc = {"status": one.status, "currency": one.currency, "amount": one.amount, "reason": one.reason}
    fields |= {"payment_id": payment.provider_id} | ({"due_by": one.due_by} if isinstance(one, Dispute) else {})
    at = one.created_at
    return Record(new_id("mny"), kind, one.id, fields, at, at, payment.party, payment.sale)


async def known_of(db: Database, label_id: str, *, session: Session | None = None) -> dict[str, Doc]:
    """The label's records, by Stripe's ids."""
    found = db.open("money_records").find({"label_id": label_id}, session=session)
    return {doc["provider_id"]: doc async for doc in found}


async def write(
    db: Database, label_id: str, records: Iterable[Record], known: dict[str, Doc], *, erased: bool, books: Books,
    now: datetime, session: Session,
) -> None:  # fmt: skip
    """Write what is new or changed, in the transaction that has the label's turn.

    What the law asks for no more is not written again: Stripe has it for longer than we may. Under a hold it is.
    """
    held = await is_held(db, label_id, session=session)
    parties: dict[str, str] = {}
    writes = []
    for record in records:
        party = record.party
        kept = keeping_of(record.latest_at, books, country=party.country, has_tax_id=bool(party.tax_ids))
        if kept.purge_at <= now and not held:
            continue
        fields = record.fields | {"country": party.country, "keep_until": kept.last_day.isoformat()}
        fields["digits"] = digits_of(record.fields["currency"])
        fields |= {"law": kept.law, "latest_at": record.latest_at, "has_tax_id": bool(party.tax_ids)}
        if record.kind == "invoice":
            fields["party_id"] = await _party(db, label_id, party, parties, now=now, session=session)
        if erased:
            fields.pop(LINKS, None)
        if not differs(known.get(record.provider_id), fields):
            continue
        place = {"label_id": label_id, "provider_id": record.provider_id}
        fresh: Doc = {"_id": record.id, "kind": record.kind, "at": record.at, "created_at": now}
        update: Doc = {"$set": fields | {"updated_at": now} | ({} if held else {"purge_at": kept.purge_at})}
        writes.append(UpdateOne(place, update | {"$setOnInsert": fresh}, upsert=True))
    if writes:
        await db.open("money_records").bulk_write(writes, ordered=False, session=session)


def differs(known: Doc | None, fields: Doc) -> bool:
    """Whether something of it is not yet written down."""
    return known is None or any(known.get(name, ...) != value for name, value in fields.items())


async def is_held(db: Database, label_id: str, *, session: Session | None = None) -> bool:
    """Whether nothing of the label's may be purged now."""
    query = {"label_id": label_id, "released_at": None}
    return await db.open("legal_holds").find_one(query, {"_id": 1}, session=session) is not None


async def _party(
    db: Database, label_id: str, party: Party, known: dict[str, str], *, now: datetime, session: Session
) -> str:
    """The id of whom the invoice names, as it names them: a later change of name makes another party."""
    told = asdict(party) | {"tax_ids": [asdict(one) for one in party.tax_ids]}
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    if key in known:
        return known[key]
    parties, place = db.open("money_parties"), {"label_id": label_id, "key": key}
    found = await parties.find_one(place, {"_id": 1}, session=session)
    if found is None:
        found = {"_id": new_id("pay")}
        await parties.insert_one(found | place | told | {"created_at": now}, session=session)
    known[key] = str(found["_id"])
    return known[key]
