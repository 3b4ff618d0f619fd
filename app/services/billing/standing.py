"""What a label may do by its subscription: the one place that turns Stripe's statuses into access.

It is decided from our own copy of Stripe's state, never by asking Stripe while somebody waits.
"""

from datetime import datetime, timedelta
from typing import Literal

from app.db import Database, Doc

Access = Literal["full", "grace", "read_only", "free"]
"""`full`: the plan; `grace`: the plan, and a warning; `read_only`: nothing new, but reading, leaving and exporting;
`free`: no subscription counts."""
GRACE = timedelta(days=7)
"""So long after a renewal failed the plan goes on, while Stripe tries again and the label is asked for another card."""
ACCESS: dict[str, Access] = {
    "trialing": "full",
    "active": "full",
    "past_due": "grace",
    "unpaid": "read_only",
    "paused": "read_only",
    "incomplete": "free",
    "incomplete_expired": "free",
    "canceled": "free",
}
"""By Stripe's status (2026-10-28.endive). `past_due` is `read_only` after `GRACE`; `active` is `free` until the first
invoice is paid, which some means of payment need days for."""
ENDED = frozenset(("canceled", "incomplete_expired"))
"""Statuses that nothing comes after."""


async def account_of(db: Database, label_id: str) -> Doc | None:
    """The label's billing account; none before it has chosen a plan or told its details."""
    return await db.open("billing_accounts").find_one({"label_id": label_id})


def access_of(account: Doc | None, *, now: datetime) -> Access:
    """What the label may do now. Of a status that is not known to us, the last one that was counts."""
    subscription = account["subscription"] if account else None
    if account is None or subscription is None:
        return "free"
    status = subscription["status"]
    known = status if status in ACCESS else account.get("known_status")
    if known is None or awaits_first_payment(subscription):
        return "free"
    access = ACCESS[known]
    since = account["past_due_since"]
    if access == "grace" and since is not None and now >= since + GRACE:
        return "read_only"
    return access


def awaits_first_payment(subscription: Doc) -> bool:
    """Whether nothing has been paid for it yet although something was to be: payment comes before access."""
    return not subscription.get("first_paid", True)


def plan_of(account: Doc | None, *, now: datetime) -> str:
    """The plan whose entitlements count now; `free` when no other does."""
    if account is None or access_of(account, now=now) == "free":
        return "free"
    return str(account["subscription"]["plan"])
