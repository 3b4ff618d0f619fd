"""What many fans do, as Meta would deliver it, and how all of it must end in the inbox.

The end is computed here from the changes alone, by other code than the product's.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from app.db import Doc
from tests.house import ACCOUNT

Kind = Literal["message", "echo", "edit", "unsend", "reaction", "read", "comment"]
WEIGHTS: dict[Kind, int] = {
    "message": 45,
    "echo": 15,
    "edit": 8,
    "unsend": 6,
    "reaction": 12,
    "read": 4,
    "comment": 10,
}
EVENTS: dict[Kind, str] = {
    "message": "message.received",
    "echo": "message.echoed",
    "edit": "message.edited",
    "unsend": "message.deleted",
    "reaction": "message.reacted",
    "read": "message.read",
    "comment": "comment.received",
}
EMOJI = ("❤️", "😆", "👍", None)
CHANGES_A_DELIVERY = 1.4
DELIVERED_AGAIN = 0.12
"""Share of the changes that come once more, in another batch."""
REPEATED = 0.05
"""Share of the deliveries that are an earlier one, byte for byte."""
OVERTAKEN_BY, AGAIN_WITHIN = 30, 400
"""By how many changes a change may be late, and its repeat."""
STEP_MS = 7


@dataclass(frozen=True)
class Change:
    """One thing that a fan, or the account itself, did."""

    kind: Kind
    about: str
    """The message's `mid`, or the comment's id."""
    at_ms: int
    entry: Doc
    """The `entry` of a delivery that holds this change alone."""


@dataclass
class MessageEnd:
    """How a message must end."""

    fan: str
    outgoing: bool
    sent_ms: int
    text: str
    edits: int = 0
    emoji: str | None = None
    deleted: bool = False
    read_ms: int | None = None

    def shown(self) -> Doc:
        """What both the database and the API must show of it."""
        return {
            "fan": self.fan,
            "direction": "out" if self.outgoing else "in",
            "sent_ms": self.sent_ms,
            "text": None if self.deleted else self.text,
            "emoji": None if self.deleted else self.emoji,
            "deleted": self.deleted,
        }


@dataclass
class Traffic:
    """What is delivered, in this order, and how it must end."""

    changes: list[Change] = field(default_factory=list)
    deliveries: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)
    """Each body, with the numbers of the changes in it."""
    messages: dict[str, MessageEnd] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    def events(self) -> Counter[tuple[str, str]]:
        """How often each event must have happened: by type, and by the provider's id of what it is about."""
        return Counter((EVENTS[change.kind], change.about) for change in self.changes)

    def unread(self) -> Counter[str]:
        """How many unread messages each fan's conversation must show."""
        count = Counter({message.fan: 0 for message in self.messages.values()})
        count.update(m.fan for m in self.messages.values() if not m.outgoing and not m.deleted)
        return count

    def newest_ms(self) -> dict[str, int]:
        """The time of each fan's newest message."""
        newest: dict[str, int] = {}
        for message in self.messages.values():
            newest[message.fan] = max(newest.get(message.fan, 0), message.sent_ms)
        return newest


def make_traffic(deliveries: int, *, seed: int, now_ms: int) -> Traffic:
    """So many deliveries, the same for the same seed. Everything in them happened in the last hours before `now_ms`."""
    rng = random.Random(seed)
    traffic = Traffic()
    count = int(deliveries * CHANGES_A_DELIVERY)
    fans = [str(900_000_000_000_100 + n) for n in range(max(5, count // 25))]
    begins = now_ms - (count + 1_000) * STEP_MS
    for number in range(count):
        _act(rng, traffic, rng.choice(fans), number=number, at_ms=begins + number * STEP_MS)
    _deliver(rng, traffic, deliveries, now_ms)
    return traffic


def _act(rng: random.Random, traffic: Traffic, fan: str, *, number: int, at_ms: int) -> None:
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if kind == "comment":
        _comment(traffic, fan, number=number, at_ms=at_ms)
        return
    of_fan = {mid: m for mid, m in list(traffic.messages.items())[-400:] if m.fan == fan}
    fitting = {
        "edit": [mid for mid, m in of_fan.items() if not m.outgoing],
        "unsend": [mid for mid, m in of_fan.items() if not m.outgoing and not m.deleted],
        "reaction": list(of_fan),
        "read": [mid for mid, m in of_fan.items() if m.outgoing and m.read_ms is None],
    }.get(kind, [])
    if not fitting:
        kind = "echo" if kind == "echo" else "message"
    mid = rng.choice(fitting) if fitting else f"aWdfZAm{number:06d}"
    part = _part(rng, traffic, kind, mid, fan=fan, number=number, at_ms=at_ms)
    sender, recipient = (ACCOUNT, fan) if kind == "echo" else (fan, ACCOUNT)
    item = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": at_ms} | part
    traffic.changes.append(Change(kind, mid, at_ms, {"id": ACCOUNT, "time": at_ms + 300, "messaging": [item]}))


def _part(rng: random.Random, traffic: Traffic, kind: Kind, mid: str, *, fan: str, number: int, at_ms: int) -> Doc:
    """What makes the `messaging` item of this kind; notes how the message must end."""
    if kind in ("message", "echo"):
        text = f"Café {number} 🎵"
        traffic.messages[mid] = MessageEnd(fan, kind == "echo", at_ms, text)
        return {"message": {"mid": mid, "text": text} | ({"is_echo": True} if kind == "echo" else {})}
    message = traffic.messages[mid]
    if kind == "edit":
        message.edits += 1
        message.text = f"Edited in {number}"
        return {"message_edit": {"mid": mid, "text": message.text, "num_edit": message.edits}}
    if kind == "unsend":
        message.deleted = True
        return {"message": {"mid": mid, "is_deleted": True}}
    if kind == "read":
        message.read_ms = at_ms
        return {"read": {"mid": mid}}
    message.emoji = rng.choice(EMOJI)
    if message.emoji is None:
        return {"reaction": {"mid": mid, "action": "unreact"}}
    return {"reaction": {"mid": mid, "action": "react", "reaction": "other", "emoji": message.emoji}}


def _comment(traffic: Traffic, fan: str, *, number: int, at_ms: int) -> None:
    comment_id, text = f"179{number:014d}", f"Comment {number}"
    traffic.comments[comment_id] = text
    author = {"id": fan, "username": f"fan.{fan[-4:]}"}
    media = {"id": "18000000000000002", "media_product_type": "FEED"}
    value = {"id": comment_id, "text": text, "from": author, "media": media}
    entry = {"id": ACCOUNT, "time": at_ms // 1000, "changes": [{"field": "comments", "value": value}]}
    traffic.changes.append(Change("comment", comment_id, at_ms, entry))


def _deliver(rng: random.Random, traffic: Traffic, deliveries: int, now_ms: int) -> None:
    """Put the changes into so many bodies: out of order, some twice, in batches of any size."""
    numbers = range(len(traffic.changes))
    late = [(number + rng.uniform(0, OVERTAKEN_BY), number) for number in numbers]
    late += [(n + rng.uniform(0, AGAIN_WITHIN), n) for n in numbers if rng.random() < DELIVERED_AGAIN]
    order = [number for _, number in sorted(late)]
    repeats = int(deliveries * REPEATED)
    cuts = sorted(rng.sample(range(1, len(order)), deliveries - repeats - 1))
    batches = [tuple(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]
    bodies = [(_body(traffic, batch, now_ms), batch) for batch in batches]
    for _ in range(repeats):
        earlier = rng.randrange(len(bodies))
        bodies.insert(rng.randint(earlier + 1, len(bodies)), bodies[earlier])
    traffic.deliveries = bodies


def _body(traffic: Traffic, batch: tuple[int, ...], now_ms: int) -> bytes:
    """One POST's body; messaging items of a batch come in one entry, as Meta sends them."""
    entries: list[Doc] = []
    for number in batch:
        entry = traffic.changes[number].entry
        last = entries[-1] if entries else {}
        if "messaging" in entry and "messaging" in last:
            last["messaging"] += entry["messaging"]
        elif "messaging" in entry:
            entries.append({"id": ACCOUNT, "time": now_ms, "messaging": list(entry["messaging"])})
        else:
            entries.append(entry)
    return json.dumps({"object": "instagram", "entry": entries}).encode()
