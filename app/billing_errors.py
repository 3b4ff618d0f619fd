"""What billing refuses."""

from dataclasses import asdict, dataclass

from app.errors import FieldError, Problem


@dataclass(frozen=True)
class PlanLimit:
    """A limit of the label's plan, and how it stands to it."""

    limit: str
    used: int
    most: int
    plan: str
    """The plan whose limit it is."""
    plan_with_more: str | None
    """The smallest plan that has enough; none where no plan has."""
    remove: int
    """How many are to go before it fits."""


class BillingOff(Problem):
    """This deployment sells nothing."""

    status, code, title = 409, "billing_off", "There are no plans to buy here"


class BillingReadOnly(Problem):
    """The subscription is unpaid or paused: nothing new until that is settled."""

    status, code, title = 402, "billing_read_only", "Nothing new can be made until the subscription is paid"

    def __init__(self, detail: str = "") -> None:
        told = "Pay the open invoice, or renew the card, in the billing portal. Reading, answering and leaving go on."
        super().__init__(detail or told)


class PlanLimitReached(Problem):
    """The label has as many as its plan allows."""

    status, code, title = 402, "plan_limit_reached", "The plan has no room for more of these"

    def __init__(self, limit: PlanLimit | None = None) -> None:
        found = limit or PlanLimit("connections", 2, 2, "free", "starter", 1)
        super().__init__(_reached(found))
        self.also = {"plan_limits": [asdict(found)]}


class PlanTooSmall(Problem):
    """The label has more than the wished plan allows: something must go first."""

    status, code, title = 409, "plan_too_small", "The label has more than this plan allows"

    def __init__(self, limits: tuple[PlanLimit, ...] = (PlanLimit("seats", 30, 25, "starter", "pro", 5),)) -> None:
        errors = tuple(FieldError("/plan", _too_small(one)) for one in limits)
        super().__init__("Remove what is too much first; `plan_limits` says how much of what.", errors=errors)
        self.also = {"plan_limits": [asdict(one) for one in limits]}


class AlreadySubscribed(Problem):
    """A label has one subscription: it is changed, not bought again."""

    status, code, title = 409, "already_subscribed", "The label has a subscription: change that one"


class NotSubscribed(Problem):
    """There is no subscription that this could be done with."""

    status, code, title = 409, "not_subscribed", "The label has no subscription"


class PaymentNeeded(Problem):
    """An invoice is open: it is paid before anything is changed."""

    status, code, title = 409, "payment_needed", "An open invoice must be paid first, in the billing portal"


class SamePlan(Problem):
    """It is so already."""

    status, code, title = 409, "same_plan", "The label has this plan already"


class PreviewOutdated(Problem):
    """The preview is of another change, too old, or something has changed since."""

    status, code, title = 409, "preview_outdated", "Ask for a new preview"


class NotACustomer(Problem):
    """The label has never bought anything."""

    status, code, title = 409, "not_a_customer", "There is nothing to manage before a plan is chosen"


NAMES = {
    "connections": "connected accounts",
    "seats": "members and open invitations",
    "publications_month": "publications in that month",
    "storage_bytes": "bytes of files",
    "partner_clients": "API clients",
}
REMEDIES = {
    "connections": "disconnect",
    "seats": "remove or withdraw",
    "publications_month": "cancel or move",
    "storage_bytes": "delete",
    "partner_clients": "delete",
}


def _reached(limit: PlanLimit) -> str:
    more = f"choose {limit.plan_with_more}, or" if limit.plan_with_more else ""
    way = " ".join(f"{more} {REMEDIES[limit.limit]} some first".split())
    return f"{limit.used} of {limit.most} {NAMES[limit.limit]} are used in the plan {limit.plan}: {way}."


def _too_small(limit: PlanLimit) -> str:
    return (
        f"has room for {limit.most} {NAMES[limit.limit]}, and there are {limit.used}: "
        f"{REMEDIES[limit.limit]} {limit.remove}"
    )
