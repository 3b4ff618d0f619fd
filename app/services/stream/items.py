"""What goes over the stream: thin events as server-sent events, and where each stands. Never content."""

from dataclasses import dataclass
from typing import Any

import orjson

from app import cursors
from app.db import Doc
from app.models.access import Permission
from app.models.base import rfc3339

READ_WITH: dict[str, Permission] = {
    "message": "inbox:read",
    "conversation": "inbox:read",
    "comment": "comments:read",
    "rule": "rules:read",
    "publication": "publishing:read",
    "connection": "connections:read",
    "vault": "connections:read",
    "asset": "assets:read",
    "billing": "billing:read",
    "invoice": "billing:read",
    "person": "members:read",
}
"""Who may hear of what, by the first word of an event's type. What is not here, nobody hears of."""
RETRY_MS = 2_000
"""How long browsers wait before they come back."""


@dataclass(frozen=True)
class Item:
    """Something to be sent: an event, to whoever has the permission; or a reset, to everybody."""

    seq: int
    block: bytes
    permission: Permission | None = None
    reset: bool = False

    def is_for(self, permissions: frozenset[Permission]) -> bool:
        """Whether somebody with these is told."""
        return self.reset or self.permission in permissions


@dataclass(frozen=True)
class Places:
    """Turns places of one label's stream into ids that mean nothing to others, and back."""

    key: bytes
    label_id: str

    def id_of(self, seq: int) -> str:
        """What a client names this place by."""
        return cursors.encode(self.key, f"stream:{self.label_id}", [seq])

    def place_of(self, event_id: str) -> int:
        """The place of an id that we gave for this label. Raises `InvalidCursor`."""
        return int(cursors.decode(self.key, f"stream:{self.label_id}", event_id)[0])

    def item(self, event: Doc) -> Item:
        """An event as it is sent."""
        told = {"id": event["_id"], "type": event["type"], "target": event["target"], "at": rfc3339(event["at"])}
        seq = int(event["seq"])
        block = _block(event["type"], told, self.id_of(seq))
        return Item(seq, block, READ_WITH.get(event["type"].partition(".")[0]))

    def opening(self, seq: int) -> bytes:
        """What a stream begins with: how long to wait before coming back, and the place that it begins behind."""
        return b"retry: %d\nid: %s\n\n" % (RETRY_MS, self.id_of(seq).encode())

    def heartbeat(self, seq: int) -> bytes:
        """A comment, and how far the listener has got even though nothing was for it."""
        return b": still here\nid: %s\n\n" % self.id_of(seq).encode()

    def reset(self, seq: int) -> Item:
        """That events are missing here, so that the client must load anew; it goes on behind this place."""
        return Item(seq, _block("reset", {"type": "reset"}, self.id_of(seq)), reset=True)


def _block(kind: str, told: dict[str, Any], event_id: str) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event_id.encode(), kind.encode(), orjson.dumps(told))
