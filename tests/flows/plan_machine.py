"""A publication in many hands at once: people, workers, and workers that die, against the real database.

Each step lets some of them act at the same time. Afterwards it must look as if they had acted one after another, and
what was shown to the world was approved, as it was, once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.db import Doc
from app.errors import Problem
from app.models.publications import PublicationCreate
from app.services import operations
from app.services.audit import By
from app.services.operations import GiveUp, TryAgain
from app.services.publications import drafts, review, scheduling, writing
from app.services.publications.writing import Hand
from app.services.publishing import deciding, working
from app.services.publishing.queueing import newest
from app.services.publishing.work import Work
from tests.api.publishing_harness import Desk
from tests.house import House

LEASE = timedelta(seconds=45)
LIVE = ("waiting", "containers", "processing", "ready", "publishing", "unknown")
PEOPLE = (
    *("edit", "edit_seen", "edit_seen", "submit", "approve", "approve_seen", "reject", "restore", "retry"),
    *("schedule", "schedule", "schedule_as_editor", "publish_now", "cancel"),
)
WORKERS = ("works", "works", "is_refused", "dies_early", "dies_ready", "dies_before_the_call", "dies_after_the_call")
WORK = ("works", "works", "is_refused", "is_refused", "dies_ready", "dies_before_the_call", "dies_after_the_call")
FITTING: dict[str, tuple[str, ...]] = {
    "draft": ("submit", "schedule", "schedule", "publish_now", "edit", "restore", "cancel", "retry"),
    "in_review": ("approve", "approve_seen", "reject", "edit_seen", "schedule"),
    "approved": ("schedule_as_editor", "publish_now", "edit_seen", "cancel"),
    "scheduled": (*WORK, *WORK, "cancel", "edit", "schedule", "publish_now", "restore"),
    "publishing": (*WORK, *WORK, "cancel", "edit", "publish_now", "retry"),
    "failed": ("retry", "edit", "schedule", "publish_now", "restore", "cancel"),
    "cancelled": ("schedule", "edit", "publish_now", "retry", "works"),
    "published": ("retry", "edit", "cancel", "publish_now", "works"),
}
"""What may happen next, so that a story gets far; by the state that it is in."""


@dataclass
class Story:
    """One publication, and what the world has seen of it."""

    desk: Desk
    users: dict[str, str]
    publication_id: str = ""
    seen: int = 1
    edits: int = 0
    written: list[str] = field(default_factory=list)
    """Captions whose writers were told that they are kept, in no order."""
    shown: list[Doc] = field(default_factory=list)
    """Each execution of the call that publishes: its target, attempt and content version."""
    told: list[str] = field(default_factory=list)
    """What was done, and what came of it, for whoever reads a failure."""

    @property
    def house(self) -> House:
        """The product."""
        return self.desk.house

    def hand(self, who: str, versions: list[int] | None = None) -> Hand:
        """Somebody who acts now."""
        by = By("person", self.users[who], None, None)
        api = self.house.api
        return Hand(api.db, api.audit, self.desk.label_id, by, api.clock(), api.meter, versions, who == "owner")

    async def begin(self) -> None:
        """A draft of the editor's."""
        body = PublicationCreate.model_validate(await self.desk.post(scheduled_at=None, caption="Edit 0"))
        made = await drafts.create(self.hand("editor"), drafts.stored_body(body))
        self.publication_id, self.written = made["_id"], ["Edit 0"]

    async def publication(self) -> Doc:
        """As it is stored."""
        return await writing.need(self.house.db, self.desk.label_id, self.publication_id)

    async def targets(self) -> list[Doc]:
        """All that there ever were."""
        query = {"label_id": self.desk.label_id, "publication_id": self.publication_id}
        return await self.house.db.open("publication_targets").find(query).to_list()

    async def act(self, name: str) -> str:
        """Do it; `ok`, or the code of the refusal. Anything else is a failure of the test."""
        try:
            await (self._worker(name) if name in WORKERS else self._person(name))
        except Problem as refused:
            return refused.code
        return "ok"

    async def _person(self, name: str) -> None:
        soon = {"scheduled_at": self.house.clock() + timedelta(seconds=30)}
        one = self.publication_id
        seen = [self.seen]
        steps: dict[str, Callable[[], Awaitable[Any]]] = {
            "edit": lambda: self._edit(None),
            "edit_seen": lambda: self._edit(seen),
            "submit": lambda: review.submit(self.hand("editor"), one),
            "approve": lambda: review.approve(self.hand("owner"), one, None),
            "approve_seen": lambda: review.approve(self.hand("owner", seen), one, "Fine."),
            "reject": lambda: review.reject(self.hand("owner"), one, "No."),
            "restore": self._restore,
            "retry": self._retry,
            "schedule": lambda: scheduling.schedule(self.hand("owner"), one, soon),
            "schedule_as_editor": lambda: scheduling.schedule(self.hand("editor"), one, soon),
            "publish_now": lambda: scheduling.publish_now(self.hand("owner"), one),
            "cancel": lambda: scheduling.cancel(self.hand("owner"), one),
        }
        await steps[name]()

    async def _edit(self, versions: list[int] | None) -> None:
        self.edits += 1
        caption = f"Edit {self.edits}"
        await drafts.change(self.hand("editor", versions), self.publication_id, {"caption": caption})
        self.written.append(caption)

    async def _restore(self) -> None:
        await drafts.restore(self.hand("editor"), self.publication_id, 1)
        self.written.append("Edit 0")

    async def _retry(self) -> None:
        api, place = self.house.api, (self.desk.label_id, self.publication_id)
        by = By("person", self.users["owner"], None, None)
        await deciding.retry(api.db, api.audit, api.meter, *place, by=by, now=api.clock())

    async def _worker(self, name: str) -> None:
        """Take up whatever is due of it, as the engine does, with a provider that answers as `name` says."""
        db, now = self.house.db, self.house.clock()
        for target in newest(await self.targets()):
            operation = await operations.claim(db, target["operation_id"], lease=LEASE, now=now)
            if operation is None:
                continue
            try:
                await self._publish(operation, name)
            except TryAgain as later:
                await operations.postpone(db, operation, until=later.at, reason=later.reason, now=now)
            except GiveUp as end:
                await operations.fail(db, operation, code=end.code, detail=end.detail, now=now)
            except Died:
                continue

    async def _publish(self, operation: Doc, name: str) -> None:
        if name == "dies_early":
            raise Died
        work = await working._take(self.house.worker.hands, operation)
        if work.target["state"] in ("failed", "needs_decision"):
            raise GiveUp("ended", "It was over.")
        if work.target.get("calling"):
            await self._reconcile(work)
        if work.target["state"] != "published":
            await self._show(work, name)
        await operations.succeed(self.house.db, operation, result=None, now=self.house.clock())

    async def _reconcile(self, work: Work) -> None:
        """Ask the provider what became of the call of a worker that died."""
        if self._of(work) in self.shown:
            await work.move("published", {"provider_id": "1"}, step="reconcile", unset={"calling": ""})
        else:
            await work.move("ready", step="reconcile", unset={"calling": ""})

    async def _show(self, work: Work, name: str) -> None:
        await work.move("ready", {"container": {"provider_id": "c1"}}, step="prepare")
        if name == "dies_ready":
            raise Died
        if work.now < work.target["due_at"]:
            raise TryAgain(work.target["due_at"], "waiting")
        if name == "is_refused":
            await work.fail("refused", "No.")
        await work.mark()
        if name == "dies_before_the_call":
            raise Died
        await asyncio.sleep(0.001)
        self.shown.append(self._of(work) | {})
        now = await self.publication()
        assert now["state"] in ("publishing", "published"), now["state"]
        assert now["content_version"] == now["approved_version"] == work.snapshot["content_version"]
        if name == "dies_after_the_call":
            raise Died
        await work.move("published", {"provider_id": "1"}, step="answer", unset={"calling": ""})

    def _of(self, work: Work) -> Doc:
        return {"target": work.target["_id"], "attempt": work.target["attempt"]}

    async def check(self) -> None:
        """What must be true whatever happened."""
        found, targets = await self.publication(), await self.targets()
        label = {"label_id": self.desk.label_id}
        assert len(self.shown) <= 1, self.shown
        live = [one for one in targets if one["state"] in LIVE]
        assert {one["_id"] for one in live} <= {one["_id"] for one in newest(targets)}
        assert sum(one["state"] == "published" for one in targets) <= 1
        if live:
            assert found["state"] in ("scheduled", "publishing", "unknown"), found["state"]
            assert {one["snapshot"]["content_version"] for one in live} == {found["content_version"]}
            assert found["approved_version"] == found["content_version"]
        else:
            assert found["state"] not in ("scheduled", "publishing"), found["state"]
        for one in targets:
            operation = await operations.need(self.house.db, self.desk.label_id, one["operation_id"])
            waits = operation["state"] in ("queued", "running")
            assert waits or one not in live, (one["state"], operation["state"])
            assert not (operation["state"] == "queued" and one["state"] == "cancelled")
        query = label | {"publication_id": self.publication_id}
        rows = await self.house.db.open("publication_versions").find(query).to_list()
        assert sorted(row["content"]["caption"] for row in rows) == sorted(self.written)
        latest = max(rows, key=lambda row: int(row["version"]))
        assert (latest["version"], latest["content"]["caption"]) == (found["content_version"], found["caption"])
        if found["state"] == "approved":
            assert found["approved_version"] == found["content_version"]


class Died(Exception):
    """The worker is gone; its lease runs out."""


def machine(desk: Desk, users: dict[str, str], loop: asyncio.AbstractEventLoop) -> type[RuleBasedStateMachine]:
    """The machine, whose steps run in the event loop of the product."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    class Planning(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.story = Story(desk, users)
            run(self.story.begin())

        @rule(
            pick=st.integers(0, 999),
            others=st.lists(st.sampled_from(PEOPLE + WORKERS), max_size=2),
            looks=st.booleans(),
            passes=st.booleans(),
        )
        def at_once(self, pick: int, others: list[str], looks: bool, passes: bool) -> None:
            """Somebody does what comes next, and others whatever they like at the same time.

            Before it somebody looks, and will act on that; leases of the dead run out, and what is scheduled is due.
            """
            found = run(self.story.publication())
            if looks:
                self.story.seen = found["version"]
            desk.house.clock.offset += timedelta(seconds=60 if passes else 0)
            fitting = FITTING[found["state"]]
            run(self._at_once([fitting[pick % len(fitting)], *others]))

        async def _at_once(self, names: list[str]) -> None:
            story = self.story
            outcomes = await asyncio.gather(*(story.act(name) for name in names))
            story.told.append(", ".join(f"{n}: {o}" for n, o in zip(names, outcomes, strict=True)))
            of_what_was_seen = [o for n, o in zip(names, outcomes, strict=True) if n.endswith("_seen")]
            assert of_what_was_seen.count("ok") <= 1, story.told

        @invariant()
        def all_is_well(self) -> None:
            """As it must be after anything."""
            try:
                run(self.story.check())
            except AssertionError as broken:
                raise AssertionError(f"{broken} after {self.story.told}") from broken

    return Planning
