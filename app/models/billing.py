"""Plans, a label's subscription and what it buys, as the API shows and takes them.

Amounts are whole numbers of the currency's smallest unit (1900 is 19.00 EUR, and 1,900 JPY).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.models.base import ApiModel, Doc, Instant
from app.models.labels import Country
from app.models.operations import OperationProblem, OperationState
from app.models.people import Email
from app.models.tax_ids import TaxIdType

PaidPlan = Literal["starter", "pro", "label_group"]
Interval = Literal["month", "year"]
Currency = Literal["EUR", "USD", "GBP", "JPY"]
OrderKind = Literal["checkout", "portal", "preview", "change", "cancel", "resume", "details"]
Amount = Annotated[int, Field(examples=[1900])]
CurrencyCode = Annotated[str, Field(description="ISO 4217", examples=["EUR"])]
Digits = Annotated[int, Field(examples=[2], description="How many digits of its amounts stand behind the point")]


def _line(text: str) -> str:
    if not text.strip() or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("must be one line of text")
    return " ".join(text.split())


Line = Annotated[str, Field(min_length=1, max_length=200, examples=["Nightjar Records"]), AfterValidator(_line)]


class EntitlementsOut(ApiModel):
    """How much of each a plan allows; null is no limit."""

    connections: int | None
    """Connected accounts."""
    seats: int | None
    """Members, and invitations that are open."""
    publications_month: int | None
    """Posts of one calendar month (UTC)."""
    storage_bytes: int | None
    partner_clients: int | None
    """API clients."""


class PriceOut(ApiModel):
    """What a plan costs for an interval, in one currency, before tax."""

    interval: Interval
    currency: CurrencyCode
    digits: Digits
    amount: Amount


class PlanOut(ApiModel):
    """A plan."""

    name: Annotated[str, Field(examples=["pro"])]
    title: str
    description: str
    entitlements: EntitlementsOut
    prices: list[PriceOut]
    """Empty for the free plan."""
    trial_days: int
    """How long a label's first subscription is free."""


class PlansOut(ApiModel):
    """All plans, from the smallest to the largest."""

    data: list[PlanOut]


class LimitOut(ApiModel):
    """How much of a limit is used."""

    limit: Annotated[str, Field(examples=["connections"])]
    used: int
    most: int | None
    """Null: no limit."""
    plan_with_more: str | None
    """The smallest plan that has room for one more than now is used; null where this one has, or none has."""


class CardOut(ApiModel):
    """The means of payment. More of it is not known here."""

    brand: str
    last4: str
    exp_month: int | None
    exp_year: int | None


class RunningCheckout(ApiModel):
    """A checkout that somebody of the label has begun, and that can still be paid."""

    id: str
    plan: PaidPlan
    interval: Interval
    expires_at: Instant

    @classmethod
    def of(cls, order: Doc) -> "RunningCheckout":
        """The checkout of this order."""
        return cls(id=order["_id"], plan=order["plan"], interval=order["interval"], expires_at=order["payable_until"])


class WaitingChange(ApiModel):
    """A change that happens as soon as it is paid; `GET …/orders/{id}` has the `url` for that."""

    id: str
    plan: PaidPlan
    interval: Interval

    @classmethod
    def of(cls, order: Doc) -> "WaitingChange":
        """The change of this order."""
        return cls(id=order["_id"], plan=order["plan"], interval=order["interval"])


class CreditOut(ApiModel):
    """What the label has paid too much, as after a smaller plan: it is taken off the next invoices."""

    currency: CurrencyCode
    digits: Digits
    amount: Amount


class BillingOut(ApiModel):
    """A label's plan, as it was when we last looked at Stripe."""

    billing: Literal["on", "off"]
    """`off`: this deployment sells nothing, and nothing is limited."""
    plan: Annotated[str, Field(examples=["pro"])]
    """The plan whose limits count now."""
    access: Literal["full", "grace", "read_only", "free"]
    """`grace`: a payment has failed, and the plan goes on for some days; `read_only`: nothing new can be made until it
    is paid."""
    status: str | None
    """Stripe's word for how the subscription stands."""
    interval: Interval | None
    currency: CurrencyCode | None
    current_period_end: Instant | None
    trial_end: Instant | None
    cancel_at_period_end: bool
    cancel_at: Instant | None
    pending_update: bool
    """A change waits for its payment, and has not happened yet."""
    past_due_since: Instant | None
    payment_method: CardOut | None
    trial_available: bool
    limits: list[LimitOut]
    checkout: RunningCheckout | None
    change: WaitingChange | None
    credit: CreditOut | None
    synced_at: Instant | None
    """When we last looked."""


class CheckoutOrder(ApiModel):
    """What a label wants to buy."""

    plan: PaidPlan
    interval: Interval = "month"
    currency: Currency | None = None
    """By default that of the label's country, where we have one for it, else `EUR`."""
    return_to: Annotated[str, Field(max_length=2000)] | None = None
    """Where the browser goes afterwards: a page of the app's. What it says proves nothing: ask `GET …/billing`."""


class PortalOrder(ApiModel):
    """Where the browser goes after the portal."""

    return_to: Annotated[str, Field(max_length=2000)] | None = None


class PreviewOrder(ApiModel):
    """A change whose price is asked for."""

    plan: PaidPlan
    interval: Interval = "month"


class ChangeOrder(ApiModel):
    """A change of the subscription."""

    plan: PaidPlan
    interval: Interval = "month"
    preview_id: Annotated[str, Field(max_length=64)] | None = None
    """The preview that you saw: it is charged as shown there. It holds for 30 minutes."""


class PreviewLine(ApiModel):
    """One line of the invoice that would come; a negative amount is a credit."""

    text: str
    amount: Amount


class PreviewOut(ApiModel):
    """What a change would cost."""

    currency: CurrencyCode
    digits: Digits
    due_now: Amount
    """What is charged at once; 0 where nothing is before the next regular invoice."""
    tax: Amount
    total: Amount
    """The next invoice, taxes included; negative is a credit."""
    lines: list[PreviewLine]
    """Before tax."""


class BillingOrderOut(ApiModel):
    """Something asked of billing, and what came of it."""

    id: Annotated[str, Field(examples=["bor_01k9zv3t5w8x2m4c6d7f9g1h3j"])]
    kind: OrderKind
    state: OperationState
    """Of its operation."""
    operation_id: str
    plan: PaidPlan | None
    interval: Interval | None
    url: str | None
    """Where the browser goes: the checkout, the portal, or the page where an open invoice is paid; null once it is
    paid or over. Whoever has it may use it: show it to nobody else, and do not keep it."""
    expires_at: Instant | None
    """Until when `url` works."""
    payment_needed: bool
    """The change happens once it is paid, at `url`, within 23 hours."""
    preview: PreviewOut | None
    problem: OperationProblem | None
    created_at: Instant

    @classmethod
    def of(
        cls, order: Doc, operation: Doc, link: tuple[str, Instant] | None, *, payment_needed: bool
    ) -> "BillingOrderOut":
        """The order of this document."""
        found = order.get("preview")
        return cls(
            id=order["_id"],
            kind=order["kind"],
            state=operation["state"],
            operation_id=operation["_id"],
            plan=order.get("plan"),
            interval=order.get("interval"),
            url=link[0] if link else None,
            expires_at=link[1] if link else None,
            payment_needed=payment_needed,
            preview=PreviewOut.model_validate(found) if found else None,
            problem=OperationProblem(**operation["problem"]) if operation["problem"] else None,
            created_at=order["created_at"],
        )


class Address(ApiModel):
    """Where invoices go."""

    line1: Line | None = None
    line2: Line | None = None
    city: Line | None = None
    postal_code: Annotated[Line, Field(max_length=20)] | None = None
    state: Line | None = None


class TaxId(ApiModel):
    """A tax number, as `{"type": "eu_vat", "value": "DE123456789"}`."""

    type: TaxIdType
    value: Annotated[
        str, Field(min_length=2, max_length=40, pattern=r"^[A-Za-z0-9 ./*+&-]+$", examples=["DE123456789"])
    ]


def _different(given: list[TaxId]) -> list[TaxId]:
    if len({(one.type, one.value) for one in given}) < len(given):
        raise ValueError("must not hold the same number twice")
    return given


class BillingDetails(ApiModel):
    """Whom invoices name. All of it is replaced."""

    name: Line
    email: Email
    country: Country
    """ISO 3166-1, two letters: it decides the tax, and how long records are kept."""
    address: Address = Address()
    tax_ids: Annotated[list[TaxId], Field(max_length=5), AfterValidator(_different)] = Field(default_factory=list)


class BillingDetailsOut(ApiModel):
    """Whom invoices name; null until it was told, here or at the checkout."""

    name: str | None
    email: str | None
    country: str | None
    address: Address
    tax_ids: list[TaxId]
    operation_id: str | None
    """What brings, or brought, the last change to Stripe; null where nothing was changed here for 90 days."""
    state: OperationState | None
    """Of that operation: Stripe has the change once it `succeeded`."""
    problem: OperationProblem | None
    """Why it `failed`, as `tax_id_invalid`."""
