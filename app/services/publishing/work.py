"""One target in a worker's hands: every write carries the fence, and tells of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from app.clock import to_ms
from app.db import Database, Doc, Session
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.operations import GiveUp, TryAgain
from app.services.publishing import states
from app.services.publishing.states import RETRY

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
        """It is certainly not published, and will not be by itself. Raises `GiveUp`."""
        problem = {"code": code, "detail": detail}
        await self.move(state, {"problem": problem}, step=step, outcome=code, unset={"calling": "", "watch_at": ""})
        raise GiveUp(code, detail)

    async def mark(self) -> None:
        """The last write before the call that publishes: only while all is as it was when it was decided.

        Raises `TryAgain` when another worker has the operation, or somebody has withdrawn or changed the publication.
        """
        now = self.now
        mine = {name: self.operation[name] for name in ("_id", "label_id", "fence")}
        same = self.key | {"state": "ready", "calling": {"$exists": False}}
        same |= {"container.provider_id": self.target["container"]["provider_id"]}
        calling = {"step": "publish", "at": now, "fence": self.operation["fence"]}
        changes: Doc = {"calling": calling, "state": "publishing", "started_at": self.target["started_at"] or now}
        taken = {"step": "call", "at": now, "outcome": "begun", "attempt": self.target["attempt"]}

        async def all_of_it(session: Session) -> bool:
            label = {"label_id": self.target["label_id"]}
            connection = await self.db.open("connections").find_one(
                label | {"_id": self.connection["_id"]}, session=session
            )
            held = await self.db.open("operations").update_one(mine, {"$set": {"updated_at": now}}, session=session)
            query = label | {"_id": self.target["publication_id"]}
            publication = await self.db.open("publications").find_one(query, session=session)
            usable = connection is not None and store.is_usable(connection, "publishing")
            if not usable or not held.matched_count or not is_approved(self.target, publication):
                return False
            update: Doc = {"$set": changes, "$push": {"steps": taken}, "$unset": {"watch_at": "", "refused": ""}}
            marked = await self.db.open("publication_targets").update_one(same, update, session=session)
            if marked.matched_count:
                await states.follow_targets(self.db, self.target, now=now, session=session)
            return marked.matched_count == 1

        if not await self.db.in_transaction(all_of_it):
            raise TryAgain(now + RETRY, "changed_meanwhile")
        self._set(changes, {"watch_at": "", "refused": ""})

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
