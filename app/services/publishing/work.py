"""One target in a worker's hands: every write carries the fence, and tells of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from app.clock import to_ms
from app.db import Database, Doc, Session
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.publishing import states
from app.services.publishing.states import IN_DOUBT, OF_A_CALL, RETRY, SURE, WHAT_TO_DO

STEPS_KEPT = 200


@dataclass
class Work:
    """A target, its operation, and with what it is published."""

    hands: Hands
    operation: Doc
    target: Doc
    connection: Doc

    @property
    def db(self) -> Database:
        """The database."""
        return self.hands.db

    @property
    def snapshot(self) -> Doc:
        """What is published."""
        found: Doc = self.target["snapshot"]
        return found

    @property
    def now(self) -> datetime:
        """The present instant."""
        return self.hands.clock()

    @property
    def key(self) -> Doc:
        """The target, while it is this worker's."""
        mine = {"_id": self.target["_id"], "label_id": self.target["label_id"], "fence": self.operation["fence"]}
        return mine | {"state": {"$ne": "cancelled"}}

    async def write(
        self, changes: Doc, *, step: str | None = None, outcome: str = "done", unset: Doc | None = None
    ) -> None:
        """Set these fields, and note the step. Raises `TryAgain` when another has the target, or it was withdrawn."""
        update: Doc = {"$set": changes} if changes else {}
        update |= {"$unset": unset} if unset else {}
        if step:
            taken = {"step": step, "at": self.now, "outcome": outcome, "attempt": self.target["attempt"]}
            update["$push"] = {"steps": {"$each": [taken], "$slice": -STEPS_KEPT}}
        if (await self.db.open("publication_targets").update_one(self.key, update)).matched_count == 0:
            raise TryAgain(self.now + RETRY, "taken_over")
        self._set(changes, unset)

    async def move(
        self, state: str, changes: Doc | None = None, *, step: str, outcome: str = "done", unset: Doc | None = None
    ) -> None:
        """Bring the target to this state, its publication with it, and append the event. Raises as `write`."""
        now, place = self.now, {"label_id": self.target["label_id"]}
        values = (changes or {}) | {"state": state}
        taken = {"step": step, "at": now, "outcome": outcome, "attempt": self.target["attempt"]}
        update: Doc = {"$set": values, "$push": {"steps": {"$each": [taken], "$slice": -STEPS_KEPT}}}
        update |= {"$unset": unset} if unset else {}

        async def all_of_it(session: Session) -> bool:
            targets = self.db.open("publication_targets")
            if (await targets.update_one(self.key, update, session=session)).matched_count == 0:
                return False
            await states.follow_targets(self.db, self.target, now=now, session=session)
            return True

        if not await self.db.in_transaction(all_of_it):
            raise TryAgain(now + RETRY, "taken_over")
        self._set(values, unset)
        publication_id = self.target["publication_id"]
        key = f"publication:{publication_id}:{self.target['_id']}:{state}:{step}:{to_ms(now)}"
        await append(self.db, [Event(place["label_id"], key, "publication.changed", publication_id, now)])

    async def fail(self, code: str, detail: str, *, state: str = "failed", step: str = "publish") -> NoReturn:
        """It is not published, and will not be by itself. Raises `GiveUp`.

        Once it was called only Meta's refusal (`refuse`) or a person proves that: it is `unknown` then, and this raises
        `InDoubt`.
        """
        if "calling" in self.target:
            await self.leave_unknown()
        await self._end(code, detail, state, step, {"watch_at": ""})

    async def refuse(self, code: str, detail: str) -> NoReturn:
        """Meta refused each call: in one write nothing is in doubt any more, and it has failed. Raises `GiveUp`."""
        await self._end(code, detail, "failed", "call", {"watch_at": ""} | dict.fromkeys(IN_DOUBT, ""))

    async def leave_unknown(self) -> NoReturn:
        """It may be published, and nothing more is done about it: a person decides, as soon as nothing of the call can
        be under way any more. Raises `InDoubt`."""
        problem = {"code": "outcome_unknown", "detail": WHAT_TO_DO}
        if self.target["state"] != "unknown" or self.target["problem"] != problem:
            await self.move("unknown", {"problem": problem}, step="look", outcome="unknown", unset={"watch_at": ""})
        sure_at = self.target["calling"]["at"] + SURE
        raise InDoubt(sure_at if self.now < sure_at else None, WHAT_TO_DO)

    async def _end(self, code: str, detail: str, state: str, step: str, unset: Doc) -> NoReturn:
        problem = {"code": code, "detail": detail}
        await self.move(state, {"problem": problem}, step=step, outcome=code, unset=unset)
        raise GiveUp(code, detail)

    async def mark(self) -> None:
        """The last write before a call that publishes: only while all is as it was when it was decided.

        Of what was called already, and did not answer, the same container is called again, and it stays in doubt.
        Raises `TryAgain` when another worker has the operation, or somebody has withdrawn or changed the publication.
        """
        now, again = self.now, "calling" in self.target
        mine = {name: self.operation[name] for name in ("_id", "label_id", "fence")}
        as_it_was = {"calling.at": self.target["calling"]["at"]} if again else {"calling": {"$exists": False}}
        same = self.key | as_it_was | ({} if again else {"state": "ready"})
        same |= {"container.provider_id": self.target["container"]["provider_id"]}
        calling = {"step": "publish", "at": now, "fence": self.operation["fence"]}
        changes: Doc = {"calling": calling, "state": "publishing", "started_at": self.target["started_at"] or now}
        changes |= {"calls": self.target.get("calls", 0) + 1, "container.called_at": now, "problem": None}
        changes |= {"unanswered": True} if again else {}
        unset = {"watch_at": ""} | dict.fromkeys(OF_A_CALL, "")
        taken = {"step": "call", "at": now, "outcome": "begun", "attempt": self.target["attempt"]}
        steps = {"steps": {"$each": [taken], "$slice": -STEPS_KEPT}}

        async def all_of_it(session: Session) -> bool:
            held = await self.db.open("operations").update_one(mine, {"$set": {"updated_at": now}}, session=session)
            if not held.matched_count or not await self._may_be_called(session):
                return False
            update: Doc = {"$set": changes, "$push": steps, "$unset": unset}
            marked = await self.db.open("publication_targets").update_one(same, update, session=session)
            if marked.matched_count:
                await states.follow_targets(self.db, self.target, now=now, session=session)
            return marked.matched_count == 1

        if not await self.db.in_transaction(all_of_it):
            raise TryAgain(now + RETRY, "changed_meanwhile")
        self._set(changes, unset)

    async def _may_be_called(self, session: Session) -> bool:
        """Whether the account may be used, the publication is what was approved, and its label stays."""
        label = {"label_id": self.target["label_id"]}
        of_it = {"connections": self.connection["_id"], "publications": self.target["publication_id"]}
        found = [await self.db.open(n).find_one(label | {"_id": i}, session=session) for n, i in of_it.items()]
        connection, publication = found
        usable = connection is not None and store.is_usable(connection, "publishing")
        stays = not await is_ending(self.db, self.target["label_id"], session=session)
        return usable and stays and is_approved(self.target, publication)

    def result(self) -> Doc:
        """What the operation tells."""
        told = {name: self.target[name] for name in ("publication_id", "provider_id", "permalink")}
        return told | {"state": self.target["state"]}

    def _set(self, changes: Doc, unset: Doc | None) -> None:
        for name, value in changes.items():
            place: Any = self.target
            *parents, last = name.split(".")
            for parent in parents:
                place = place[parent]
            place[last] = value
        for name in unset or {}:
            self.target.pop(name, None)


def is_approved(target: Doc, publication: Doc | None) -> bool:
    """Whether the publication is still what was approved and scheduled."""
    return publication is not None and publication["content_version"] == target["snapshot"]["content_version"]


async def is_ending(db: Database, label_id: str, *, session: Session | None = None) -> bool:
    """Whether the label is going to be deleted: then nothing of it is published any more."""
    label = await db.open("labels").find_one({"_id": label_id}, {"deletion_due_at": 1}, session=session)
    return label is None or bool(label.get("deletion_due_at"))
