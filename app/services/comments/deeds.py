"""One action on a comment, in a worker's hands: its state, and how it ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from app.clock import to_ms
from app.db import Database, Doc, Session
from app.models.comment_actions import WITH_TEXT, ActionState
from app.services.comments import writes
from app.services.comments.answers import mark_answered, note_answers
from app.services.comments.trouble import RETRY, Ending
from app.services.comments.writes import Seen
from app.services.connections import store
from app.services.connections.hands import Hands
from app.services.events import Event, append
from app.services.inbox.bulk import write_all
from app.services.operations import GiveUp, TryAgain

LOOK_AGAIN = (timedelta(seconds=5), timedelta(seconds=15), timedelta(minutes=2), timedelta(minutes=8))
"""How long to wait before each further look at what became of a call whose answer was lost."""


class Lost(Exception):
    """The connection was switched off or ended between the opening of its token and the call."""


@dataclass
class Deed:
    """An action, the comment that it is on, and with what it is done."""

    hands: Hands
    operation: Doc
    action: Doc
    comment: Doc
    connection: Doc

    @property
    def db(self) -> Database:
        """The database."""
        return self.hands.db

    @property
    def name(self) -> str:
        """Which action it is."""
        return str(self.action["action"])

    @property
    def pending(self) -> Doc:
        """What was decided: the words to write, and the comment's words at that time."""
        found: Doc = self.comment.get("content", {}).get("pending", {}).get(self.action["_id"], {})
        return found

    @property
    def text(self) -> str:
        """The words to write."""
        return str(self.pending["text"])

    @property
    def top_id(self) -> str:
        """The first comment of its thread: Meta puts every reply below that one."""
        return str(self.comment["parent_provider_id"] or self.comment["provider_id"])

    @property
    def _key(self) -> Doc:
        return {"_id": self.action["_id"], "label_id": self.action["label_id"]}

    @property
    def _comment_key(self) -> Doc:
        return {"_id": self.comment["_id"], "label_id": self.comment["label_id"]}

    async def reload(self) -> None:
        """Look at the comment anew."""
        self.comment = await self.db.open("comments").find_one(self._comment_key) or self.comment

    async def mark(self, now: datetime) -> None:
        """The last write before the call: only while the operation is ours, and the connection may still be used.

        Raises `TryAgain` when another worker has it, and `Lost`.
        """
        mine = {name: self.operation[name] for name in ("_id", "label_id", "fence")}

        async def all_of_it(session: Session) -> bool:
            place = {"_id": self.connection["_id"], "label_id": self.connection["label_id"]}
            connection = await self.db.open("connections").find_one(place, session=session)
            if connection is None or not store.is_usable(connection, "comments"):
                raise Lost
            held = await self.db.open("operations").update_one(mine, {"$set": {"updated_at": now}}, session=session)
            begun = {"$set": {"calling_at": now, "calling_fence": self.operation["fence"]}}
            await self.db.open("moderation_actions").update_one(self._key, begun, session=session)
            return held.matched_count == 1

        if not await self.db.in_transaction(all_of_it):
            raise TryAgain(now + RETRY, "taken_over")
        self.action |= {"calling_at": now}

    async def unmark(self) -> None:
        """It certainly did not happen: it may be called again."""
        mine = self._key | {"calling_fence": self.operation["fence"]}
        begun: Doc = {"$unset": {"calling_at": "", "calling_fence": ""}}
        await self.db.open("moderation_actions").update_one(mine, begun)

    async def in_doubt(self) -> datetime | None:
        """Nobody knows whether it happened; when to look again, or never: then a person decides."""
        doubts = self.action.get("doubts", 0)
        await self._set({"state": "unknown", "doubts": doubts + 1})
        return self.hands.clock() + LOOK_AGAIN[doubts] if doubts < len(LOOK_AGAIN) else None

    async def keep_reply(self, provider_id: str, *, sent_at: datetime) -> None:
        """Record that Meta has the reply, before anything else: then as a comment of its own, and as an answer."""
        await self._set({"reply_provider_id": provider_id})
        seen = Seen(
            provider_id=provider_id,
            at=sent_at,
            text=self.text,
            rank=to_ms(sent_at),
            author_id=self.connection["account"]["provider_id"],
            username=self.connection["account"]["username"],
            parent_provider_id=self.top_id,
            media=self.comment["media"],
            own=True,
            kind=self.comment["kind"],
            more={"action_id": self.action["_id"]},
        )
        known = [writes.upsert(self.connection, seen), *writes.completions(self.connection, seen)]
        await write_all(self.db, "comments", known)
        now = self.hands.clock()
        await mark_answered(self.db, self._comment_key, at=sent_at, now=now)
        await note_answers(self.db, self.connection, [self.top_id], now=now)

    async def keep_message(self, provider_id: str | None) -> None:
        """Record that Meta has the private reply, under its id if that is known."""
        now = self.hands.clock()
        await self._set({"reply_provider_id": provider_id})
        sent = {"private_reply.provider_id": provider_id, "private_reply.sent_at": now}
        await self.db.open("comments").update_one(self._comment_key, {"$set": sent, "$inc": {"version": 1}})
        await mark_answered(self.db, self._comment_key, at=now, now=now)

    async def end(self, state: ActionState, *, edited: bool = False) -> Doc:
        """It is done, or needs not be done any more; the operation's result."""
        changes: Doc = {"state": state, "done_at": self.hands.clock()} | ({"edited": True} if edited else {})
        await self._set(changes)
        await self._forget()
        return self.result(state)

    def result(self, state: ActionState) -> Doc:
        """What the operation tells."""
        told = {"comment_id": self.comment["_id"], "outcome": state}
        reply_id = self.action.get("reply_provider_id")
        return told | ({"provider_id": reply_id} if reply_id else {})

    async def fail(self, ending: Ending, *, spent: bool = False) -> NoReturn:
        """It will not be done. A private reply that was not used (`spent`) may be asked for again. Raises `GiveUp`."""
        code, detail = ending
        now = self.hands.clock()
        await self._set({"state": "failed", "problem": code, "done_at": now})
        if self.name == "private_reply" and not spent:
            mine = self._comment_key | {"private_reply.action_id": self.action["_id"]}
            free = {"$unset": {"private_reply": ""}, "$inc": {"version": 1}}
            await self.db.open("comments").update_one(mine, free)
        if self.name not in WITH_TEXT:
            await self._forget()
        label_id, comment_id = self.comment["label_id"], self.comment["_id"]
        key = f"comment_action:{self.action['_id']}:failed:{self.operation['fence']}"
        await append(self.db, [Event(label_id, key, "comment.action_failed", comment_id, now)])
        raise GiveUp(code, detail)

    async def _set(self, changes: Doc) -> None:
        self.action |= changes
        undone = self._key | {"state": {"$nin": ["done", "already_gone"]}}
        await self.db.open("moderation_actions").update_one(undone, {"$set": changes})

    async def _forget(self) -> None:
        """The words of what is done are with the comment that they became."""
        done: Doc = {"$unset": {f"content.pending.{self.action['_id']}": ""}, "$inc": {"version": 1}}
        await self.db.open("comments").update_one(self._comment_key, done)
