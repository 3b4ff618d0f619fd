"""What a label's plan lets it make: the one place that is asked before anything new is made.

Nothing that is there is taken away, whatever the plan: what is over a limit goes on, and only more of it is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.billing_errors import BillingReadOnly, PlanLimit, PlanLimitReached
from app.db import Database, Doc, Session
from app.services.billing import accounts, plans, usage
from app.services.billing.plans import LIMITS, Limit
from app.services.billing.standing import access_of, account_of, plan_of

ENDLESS = 2**60


@dataclass(frozen=True)
class Meter:
    """What labels may make. Where billing is off, everything."""

    db: Database
    on: bool

    async def need_writable(self, label_id: str, *, now: datetime) -> None:
        """Raise `BillingReadOnly` where nothing new may be made."""
        if self.on:
            _check_writable(await account_of(self.db, label_id), now)

    async def need_room(
        self,
        label_id: str,
        limit: Limit,
        *,
        now: datetime,
        at: datetime | None = None,
        session: Session | None = None,
        made: int = 0,
        adding: int = 1,
    ) -> None:
        """Raise `PlanLimitReached` unless there is room for so many more, and `BillingReadOnly` as above.

        In the transaction that makes it: of two who would take the last place at once, the second sees the first's.
        `made` of what is counted is what this is about, and there already. A publication counts for the month of `at`.
        Without a session it is only an early word.
        """
        if not self.on:
            return
        if session is not None:
            await accounts.touch(self.db, label_id, {"$inc": {"holds": 1}}, now=now, session=session)
        account = await self._account(label_id, session)
        _check_writable(account, now)
        plan = plan_of(account, now=now)
        most = plans.entitlements_of(plan).of(limit)
        if most is None:
            return
        used = await usage.used_of(self.db, label_id, limit, at=at or now, session=session) - made
        if used + adding > most:
            raise PlanLimitReached(reached(limit, used, plan, adding=adding))

    async def need_seat_taken(self, label_id: str, *, now: datetime, session: Session) -> None:
        """Raise `PlanLimitReached` unless somebody who was asked may still come, `BillingReadOnly` as above."""
        if not self.on:
            return
        await accounts.touch(self.db, label_id, {"$inc": {"holds": 1}}, now=now, session=session)
        account = await self._account(label_id, session)
        _check_writable(account, now)
        plan = plan_of(account, now=now)
        most, used = plans.entitlements_of(plan).seats, await usage.members_of(self.db, label_id, session=session)
        if most is not None and used >= most:
            raise PlanLimitReached(reached("seats", used, plan))

    async def storage_bytes(self, label_id: str, *, now: datetime, otherwise: int) -> int:
        """How much the label's files may take; `otherwise` where billing is off."""
        if not self.on:
            return otherwise
        plan = plan_of(await account_of(self.db, label_id), now=now)
        return plans.entitlements_of(plan).storage_bytes or ENDLESS

    async def need_bytes(self, label_id: str, adding: int, *, now: datetime) -> None:
        """Raise `PlanLimitReached` unless files may take so much more, and `BillingReadOnly` as above.

        It is for the word that says which plan has more: the room itself is taken in one conditional update.
        """
        if not self.on:
            return
        account = await account_of(self.db, label_id)
        _check_writable(account, now)
        plan = plan_of(account, now=now)
        most, used = (
            plans.entitlements_of(plan).storage_bytes,
            await usage.used_of(self.db, label_id, "storage_bytes", at=now),
        )
        if most is not None and used + adding > most:
            raise PlanLimitReached(reached("storage_bytes", used, plan, adding=adding))

    async def _account(self, label_id: str, session: Session | None) -> Doc | None:
        return await self.db.open("billing_accounts").find_one({"label_id": label_id}, session=session)


def reached(limit: Limit, used: int, plan: str, *, adding: int = 1) -> PlanLimit:
    """How a limit stands in the way of so many more."""
    most = plans.entitlements_of(plan).of(limit) or 0
    return PlanLimit(limit, used, most, plan, plans.plan_with_more(limit, used + adding), used + adding - most)


def too_much_for(plan: str, used: Mapping[Limit, int]) -> tuple[PlanLimit, ...]:
    """What a label that uses so much has too much of for a plan. Publications of a month are not taken back."""
    limits = plans.entitlements_of(plan)
    return tuple(
        PlanLimit(name, used[name], most, plan, plans.plan_with_more(name, used[name]), used[name] - most)
        for name in LIMITS
        if name != "publications_month" and (most := limits.of(name)) is not None and used[name] > most
    )


def _check_writable(account: Doc | None, now: datetime) -> None:
    if access_of(account, now=now) == "read_only":
        raise BillingReadOnly
