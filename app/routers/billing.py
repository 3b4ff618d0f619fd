"""Plans, a label's subscription, and what people ask of it. `Prefer: wait` waits for what Stripe must do."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response, Security

from app.access import ANYBODY, Access, PartsDep, label_access
from app.billing_errors import (
    AlreadySubscribed,
    BillingOff,
    NotACustomer,
    NotSubscribed,
    PaymentNeeded,
    PlanTooSmall,
    PreviewOutdated,
    SamePlan,
)
from app.db import Doc
from app.deps import VersionsDep, WaitDep, content_tag, version_tag, wait_for_end
from app.errors import InvalidInput, NotFound, StaleVersion
from app.models.billing import (
    Address,
    BillingDetails,
    BillingDetailsOut,
    BillingOrderOut,
    BillingOut,
    ChangeOrder,
    CheckoutOrder,
    EntitlementsOut,
    PlanOut,
    PlansOut,
    PortalOrder,
    PreviewOrder,
    PriceOut,
)
from app.models.operations import OperationProblem
from app.parts import Parts
from app.problems import problems
from app.services import operations
from app.services.billing import links, orders, plans, selling
from app.services.billing.amounts import digits_of
from app.services.billing.orders import Desk
from app.services.billing.overview import overview
from app.services.billing.standing import account_of
from app.services.connections.beginning import check_return_to
from app.services.labels.labels import need_label

router = APIRouter(prefix="/v1", tags=["billing"])
PATH = "/labels/{label_id}/billing"
Reader = Annotated[Access, Security(label_access, scopes=["billing:read"])]
Orderer = Annotated[Access, Security(label_access, scopes=["billing:orders"])]
"""Who may buy, also while their log-in is not of the last minutes: for what commits to nothing."""
Writer = Annotated[Access, Security(label_access, scopes=["billing:write"])]
ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": BillingOrderOut, "description": "The same, when it ended within the time of `Prefer: wait`"}
}
DETAILS_ENDED: dict[int | str, dict[str, Any]] = {
    200: {"model": BillingDetailsOut, "description": "The same, when it ended within the time of `Prefer: wait`"}
}


@router.get(
    "/plans",
    operation_id="listPlans",
    openapi_extra=ANYBODY,
    response_model=PlansOut,
    responses={304: {"description": "They are as you have seen them"}},
)
async def list_plans(
    response: Response,
    if_none_match: Annotated[str | None, Header(description="The `ETag` that you saw: `304` if it is the same")] = None,
) -> PlansOut | Response:
    """All plans: what they allow, and what they cost before tax."""
    found = PlansOut(data=[_plan(plan) for plan in plans.PLANS.values()])
    told = {"ETag": content_tag(found), "Cache-Control": "public, max-age=300"}
    if told["ETag"] in [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]:
        return Response(status_code=304, headers=told)
    response.headers.update(told)
    return found


@router.get(PATH, operation_id="getBilling", responses=problems(NotFound))
async def get_billing(parts: PartsDep, access: Reader) -> BillingOut:
    """The label's plan, how its subscription stands, and how much of each limit is used.

    It is our copy of what Stripe says, some seconds old at most; the page that Stripe leads back to proves nothing.
    """
    return await overview(parts.db, access.label_id, on=parts.settings.billing_on, now=parts.clock())


@router.post(
    PATH + "/checkout",
    operation_id="startCheckout",
    status_code=202,
    responses=problems(InvalidInput, AlreadySubscribed, BillingOff, NotFound, PlanTooSmall) | ENDED,
)
async def start_checkout(
    parts: PartsDep, access: Writer, body: CheckoutOrder, wait_s: WaitDep, response: Response
) -> BillingOrderOut:
    """Buy a plan: with `Prefer: wait=10` the answer has the `url` where it is paid; send the browser there.

    A label has one running checkout: asked for the same again, it is the same, and asked for another, the one before
    is ended. Two tabs make one subscription. It can be paid for an hour.
    """
    _check_return_to(parts, body.return_to)
    desk = _desk(parts, access)
    label = await need_label(parts.db, access.label_id)
    wish = body.model_dump()
    placed = await selling.order_checkout(desk, **wish, country=label["country"])
    return await _answer(parts, *placed, wait_s, response)


@router.post(
    PATH + "/portal",
    operation_id="openPortal",
    status_code=202,
    responses=problems(InvalidInput, BillingOff, NotACustomer, NotFound) | ENDED,
)
async def open_portal(
    parts: PartsDep, access: Writer, wait_s: WaitDep, response: Response, body: PortalOrder | None = None
) -> BillingOrderOut:
    """Stripe's pages for this label: cards, invoices, open payments, cancelling. `url` works for a few minutes: ask
    for it at the click."""
    order = body or PortalOrder()
    _check_return_to(parts, order.return_to)
    placed = await selling.order_portal(_desk(parts, access), return_to=order.return_to)
    return await _answer(parts, *placed, wait_s, response)


_CHANGES = (InvalidInput, BillingOff, NotFound, NotSubscribed, PaymentNeeded, PlanTooSmall, SamePlan)


@router.post(
    PATH + "/preview", operation_id="previewPlanChange", status_code=202, responses=problems(*_CHANGES) | ENDED
)
async def preview_plan_change(
    parts: PartsDep, access: Orderer, body: PreviewOrder, wait_s: WaitDep, response: Response
) -> BillingOrderOut:
    """What another plan would cost from this second on. Nothing is changed."""
    placed = await selling.order_preview(_desk(parts, access), plan=body.plan, interval=body.interval)
    return await _answer(parts, *placed, wait_s, response)


@router.post(
    PATH + "/change",
    operation_id="changePlan",
    status_code=202,
    responses=problems(*_CHANGES, PreviewOutdated) | ENDED,
)
async def change_plan(
    parts: PartsDep, access: Writer, body: ChangeOrder, wait_s: WaitDep, response: Response
) -> BillingOrderOut:
    """Change the plan or the interval.

    A larger plan is charged at once and there once it is paid: `payment_needed` says that the bank wants to hear from
    the card's owner, at `url`. A smaller one is there at once, and what was paid is a credit; what it has no room for
    must go first (`plan_too_small`).
    """
    placed = await selling.order_change(_desk(parts, access), **body.model_dump())
    return await _answer(parts, *placed, wait_s, response)


@router.post(
    PATH + "/cancel",
    operation_id="cancelSubscription",
    status_code=202,
    responses=problems(BillingOff, NotFound, NotSubscribed) | ENDED,
)
async def cancel_subscription(parts: PartsDep, access: Writer, wait_s: WaitDep, response: Response) -> BillingOrderOut:
    """End the subscription with the time that is paid for. Until then nothing changes, and it can be resumed."""
    placed = await selling.order_cancel(_desk(parts, access))
    return await _answer(parts, *placed, wait_s, response)


@router.post(
    PATH + "/resume",
    operation_id="resumeSubscription",
    status_code=202,
    responses=problems(BillingOff, NotFound, NotSubscribed) | ENDED,
)
async def resume_subscription(parts: PartsDep, access: Writer, wait_s: WaitDep, response: Response) -> BillingOrderOut:
    """Go on with a subscription that was cancelled and has not ended, or that is paused."""
    placed = await selling.order_resume(_desk(parts, access))
    return await _answer(parts, *placed, wait_s, response)


@router.get(PATH + "/orders/{order_id}", operation_id="getBillingOrder", responses=problems(NotFound))
async def get_billing_order(parts: PartsDep, access: Orderer, order_id: str) -> BillingOrderOut:
    """Something that was asked of billing, with its `url` as long as that works."""
    order = await orders.need(parts.db, access.label_id, order_id)
    operation = await operations.need(parts.db, access.label_id, order["operation_id"])
    return await _shown(parts, order, operation)


@router.get(PATH + "/details", operation_id="getBillingDetails", responses=problems(NotFound))
async def get_billing_details(parts: PartsDep, access: Reader, response: Response) -> BillingDetailsOut:
    """Whom invoices name."""
    account = await account_of(parts.db, access.label_id) or {}
    order_id = account.get("details_order")
    order = await orders.find(parts.db, access.label_id, order_id) if order_id else None
    operation = await operations.need(parts.db, access.label_id, order["operation_id"]) if order else None
    return _details(account, operation, response)


@router.put(
    PATH + "/details",
    operation_id="putBillingDetails",
    status_code=202,
    responses=problems(InvalidInput, BillingOff, NotFound, StaleVersion) | DETAILS_ENDED,
)
async def put_billing_details(
    parts: PartsDep, access: Writer, body: BillingDetails, versions: VersionsDep, wait_s: WaitDep, response: Response
) -> BillingDetailsOut:
    """Say whom invoices name. It counts from the next invoice on: those that are there cannot be changed.

    With `Prefer: wait=10`, `state` and `problem` say whether Stripe took it: a tax number of a wrong form is
    `tax_id_invalid`.
    """
    account, operation = await selling.put_details(_desk(parts, access), body, versions)
    await parts.bell.ring(operation["_id"])
    if wait_s:
        operation = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        response.status_code = 200 if operation["state"] in operations.ENDED else 202
    response.headers["Location"] = f"/v1/operations/{operation['_id']}"
    return _details(account, operation, response)


def _desk(parts: Parts, access: Access) -> Desk:
    """Raises `BillingOff`."""
    if not parts.settings.billing_on:
        raise BillingOff
    return Desk(parts.db, parts.audit, access.label_id, access.by, parts.clock())


def _check_return_to(parts: Parts, return_to: str | None) -> None:
    if return_to is not None:
        check_return_to(parts.settings, return_to)


async def _answer(parts: Parts, order: Doc, operation: Doc, wait_s: float, response: Response) -> BillingOrderOut:
    """Ring for the order's operation, and answer: `202`, or `200` when it ended within the time of `Prefer: wait`."""
    await parts.bell.ring(operation["_id"])
    if wait_s:
        operation = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        order = await orders.need(parts.db, order["label_id"], order["_id"])
    response.status_code = 200 if operation["state"] in operations.ENDED else 202
    response.headers["Location"] = f"/v1/operations/{operation['_id']}"
    return await _shown(parts, order, operation)


async def _shown(parts: Parts, order: Doc, operation: Doc) -> BillingOrderOut:
    """The order as it is now: an address that leads to what is paid or over is not shown any more."""
    now, link = parts.clock(), None
    account = await account_of(parts.db, order["label_id"]) or {"subscription": None}
    payment_needed = orders.waits_for_payment(order, account)
    works = {"checkout": lambda: orders.is_payable(order, account, now=now), "change": lambda: payment_needed}
    if operation["state"] != "failed" and works.get(order["kind"], lambda: True)():
        link = await links.find(parts.db, parts.settings, order["label_id"], order["_id"], now=now)
    return BillingOrderOut.of(order, operation, link, payment_needed=payment_needed)


def _details(account: Doc, operation: Doc | None, response: Response) -> BillingDetailsOut:
    response.headers["ETag"] = version_tag({"version": selling.details_version(account)})
    told = (
        account.get("details_wished")
        or account.get("details")
        or {"name": None, "email": None, "country": None, "address": {}, "tax_ids": []}
    )
    address = Address(**told["address"])
    problem = operation["problem"] if operation else None
    return BillingDetailsOut(
        **told | {"address": address},
        operation_id=operation["_id"] if operation else None,
        state=operation["state"] if operation else None,
        problem=OperationProblem(**problem) if problem else None,
    )


def _plan(plan: plans.Plan) -> PlanOut:
    prices = [
        PriceOut(interval=interval, currency=currency.upper(), digits=digits_of(currency), amount=amount)
        for interval, amounts in plan.prices.items()
        for currency, amount in amounts.items()
    ]
    return PlanOut(
        name=plan.name,
        title=plan.title,
        description=plan.description,
        entitlements=EntitlementsOut(**vars(plan.entitlements)),
        prices=prices,
        trial_days=plan.trial_days,
    )
