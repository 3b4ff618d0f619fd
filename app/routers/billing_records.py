"""What a label was invoiced and has paid. Read from our own records: nobody waits for Stripe."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.db import Doc
from app.deps import PagingDep, content_tag
from app.errors import InvalidCursor, InvalidInput, NotFound
from app.models.billing_records import InvoiceOut, InvoicePage, PaymentOut, PaymentPage
from app.parts import Parts
from app.problems import problems
from app.services.billing import records

router = APIRouter(prefix="/v1/labels/{label_id}/billing", tags=["billing"])
Reader = Annotated[Access, Security(label_access, scopes=["billing:read"])]


@router.get("/invoices", operation_id="listInvoices", responses=problems(InvalidInput, InvalidCursor))
async def list_invoices(parts: PartsDep, access: Reader, paging: PagingDep) -> InvoicePage:
    """The label's invoices, the newest first. Drafts are none yet."""
    page, following = await _page(parts, access.label_id, "invoice", paging)
    return InvoicePage(data=[InvoiceOut.of(one) for one in page], next_cursor=following)


@router.get("/invoices/{invoice_id}", operation_id="getInvoice", responses=problems(NotFound))
async def get_invoice(parts: PartsDep, access: Reader, invoice_id: str, response: Response) -> InvoiceOut:
    """One invoice."""
    shown = InvoiceOut.of(await records.need(parts.db, access.label_id, "invoice", invoice_id))
    response.headers["ETag"] = content_tag(shown)
    return shown


@router.get("/payments", operation_id="listPayments", responses=problems(InvalidInput, InvalidCursor))
async def list_payments(parts: PartsDep, access: Reader, paging: PagingDep) -> PaymentPage:
    """The label's payments with their refunds and disputes, the newest payment first. Failed tries are there, too."""
    page, following = await _page(parts, access.label_id, "payment", paging)
    return PaymentPage(data=await _shown(parts, access.label_id, page), next_cursor=following)


@router.get("/payments/{payment_id}", operation_id="getPayment", responses=problems(NotFound))
async def get_payment(parts: PartsDep, access: Reader, payment_id: str, response: Response) -> PaymentOut:
    """One payment with its refunds and disputes."""
    found = await records.need(parts.db, access.label_id, "payment", payment_id)
    shown = (await _shown(parts, access.label_id, [found]))[0]
    response.headers["ETag"] = content_tag(shown)
    return shown


async def _page(parts: Parts, label_id: str, kind: str, paging: PagingDep) -> tuple[list[Doc], str | None]:
    place = f"money:{kind}:{label_id}"
    after = cursors.decode_time_and_id(parts.cursor_key, place, paging.cursor)
    found = await records.page_of(parts.db, label_id, kind, after=after, limit=paging.limit)
    return cursors.cut(parts.cursor_key, place, found, ["at", "_id"], limit=paging.limit)


async def _shown(parts: Parts, label_id: str, payments: list[Doc]) -> list[PaymentOut]:
    back = await records.taken_back(parts.db, label_id, payments)
    invoices = await records.ids_of_invoices(parts.db, label_id, payments)
    return [
        PaymentOut.of(one, invoice_id=invoices.get(one["invoice_id"] or ""), taken_back=back[one["provider_id"]])
        for one in payments
    ]
