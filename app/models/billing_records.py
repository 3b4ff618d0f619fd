"""Invoices and payments, as the API shows them. Amounts are whole numbers of the currency's smallest unit."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from app.models.base import ApiModel, Doc, Instant, Page

Amount = Annotated[int, Field(examples=[1900])]
Currency = Annotated[str, Field(examples=["EUR"], description="ISO 4217")]


class MoneyOut(ApiModel):
    """What every record of money has."""

    id: Annotated[str, Field(examples=["mny_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    provider: Literal["stripe"]
    provider_id: str
    """Stripe's own id of it."""
    status: str
    """Stripe's word for how it stands. New ones may come: take one that you do not know as neither good nor bad."""
    currency: Currency
    digits: Annotated[int, Field(examples=[2])]
    """How many digits of every amount here stand behind the point: 2 for EUR, 0 for JPY, 3 for KWD."""
    amount: Amount
    created_at: Instant
    """When it was made; an invoice: when it became final."""


class Kept(ApiModel):
    """How long it is kept, and why."""

    keep_until: date
    """The last day on which the law asks for it; then it is deleted."""
    law: Annotated[str, Field(examples=["GB"])]
    """Whose law: a country (ISO 3166-1), or `EU-OSS`, the EU's one-stop shop."""


SAME = (
    *("number", "reason", "country", "subtotal", "tax", "amount_due", "amount_paid", "amount_remaining"),
    *("credited", "attempts", "next_attempt_at", "period_start", "period_end", "paid_at"),
)
"""What of an invoice is shown as it is stored."""


class InvoiceOut(MoneyOut, Kept):
    """An invoice. `status` is `open`, `paid`, `uncollectible` or `void`, or a word that is new."""

    number: str | None
    reason: str | None
    """Why it was made: `subscription_create`, `subscription_cycle`, `subscription_update`, …"""
    country: str | None
    """Of whom it names (ISO 3166-1)."""
    subtotal: Amount
    tax: Amount
    amount_due: Amount
    amount_paid: Amount
    amount_remaining: Amount
    credited: Amount
    """What credit notes have taken off."""
    attempts: int
    """How often it was tried to be paid."""
    next_attempt_at: Instant | None
    period_start: Instant
    period_end: Instant
    paid_at: Instant | None
    page_url: str | None
    """Its page at Stripe, where it can be paid. Whoever has the address sees it; it is renewed every day."""
    pdf_url: str | None
    """Its file, under the same conditions."""

    @classmethod
    def of(cls, record: Doc) -> "InvoiceOut":
        """The invoice of this document."""
        links = record.get("links") or {}
        shown = {name: record[name] for name in SAME} | {"page_url": links.get("page"), "pdf_url": links.get("pdf")}
        return cls(**_common(record), **_kept(record), **shown)


class InvoicePage(Page[InvoiceOut]):
    """A label's invoices."""


class RefundOut(MoneyOut):
    """Money that went back."""

    reason: str | None

    @classmethod
    def of(cls, record: Doc) -> "RefundOut":
        """The refund of this document."""
        return cls(**_common(record), reason=record["reason"])


class DisputeOut(MoneyOut):
    """A payment that its payer contests at the bank."""

    reason: str | None
    due_by: Instant | None
    """Until when it can be answered."""

    @classmethod
    def of(cls, record: Doc) -> "DisputeOut":
        """The dispute of this document."""
        return cls(**_common(record), reason=record["reason"], due_by=record["due_by"])


class PaymentOut(MoneyOut, Kept):
    """A payment that was tried, and what of it went back."""

    amount_received: Amount
    amount_refunded: Amount
    failure_code: str | None
    """Why the last try failed, in the word of the bank or of Stripe."""
    invoice_id: str | None
    """Our id of the invoice that it is for."""
    refunds: list[RefundOut]
    disputes: list[DisputeOut]

    @classmethod
    def of(cls, record: Doc, *, invoice_id: str | None, taken_back: list[Doc]) -> "PaymentOut":
        """The payment of these documents."""
        same = ("amount_received", "amount_refunded", "failure_code")
        return cls(
            **_common(record),
            **_kept(record),
            **{name: record[name] for name in same},
            invoice_id=invoice_id,
            refunds=[RefundOut.of(one) for one in taken_back if one["kind"] == "refund"],
            disputes=[DisputeOut.of(one) for one in taken_back if one["kind"] == "dispute"],
        )


class PaymentPage(Page[PaymentOut]):
    """A label's payments."""


def _common(record: Doc) -> Doc:
    return {
        "id": record["_id"],
        "provider": "stripe",
        "provider_id": record["provider_id"],
        "status": record["status"],
        "currency": record["currency"].upper(),
        "digits": record["digits"],
        "amount": record["amount"],
        "created_at": record["at"],
    }


def _kept(record: Doc) -> Doc:
    return {"keep_until": date.fromisoformat(record["keep_until"]), "law": record["law"]}
