"""Says what a run lost, did twice or got wrong, from the database itself and from the API's lists."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from app.db import Doc
from tests.faults.plant import Plant
from tests.faults.traffic import Traffic

Rows = list[tuple[str, Doc]]
"""The provider's id, and what is shown of it."""


@dataclass
class Verdict:
    """Empty lists and zeroes are a good run. `lost` and the others name the change or document and the place."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    undrained: int = 0
    parked: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing at all is amiss."""
        return not (self.lost or self.twice or self.wrong or self.undrained or self.parked)


def check(plant: Plant, traffic: Traffic) -> Verdict:
    """Compare what is there with what must be there, after every delivery was acknowledged."""
    verdict = Verdict()
    with plant.store() as db:
        everything = {name: list(db[name].find()) for name in ("conversations", "messages", "comments", "events")}
        inbox = list(db["webhook_inbox"].find({}, {"due_at": 1}))
        verdict.parked = db["parked_changes"].count_documents({})
    verdict.undrained = sum("due_at" in row for row in inbox)
    _count(verdict, "inbox row", Counter({"all": len(traffic.changes)}), Counter({"all": len(inbox)}))
    _events(verdict, traffic, everything)
    fans = {doc["_id"]: doc["participant"]["provider_id"] for doc in everything["conversations"]}
    _messages(verdict, traffic, "database", [_stored(doc, fans) for doc in everything["messages"]])
    _conversations(verdict, traffic, "database", everything["conversations"])
    _comments(verdict, traffic, "database", [(c["provider_id"], c["content"]["text"]) for c in everything["comments"]])
    with plant.owner() as http:
        _check_lists(verdict, traffic, http, f"/v1/labels/{plant.label_id}")
    return verdict


def undrained(plant: Plant) -> int:
    """How many changes still wait."""
    with plant.store() as db:
        return db["webhook_inbox"].count_documents({"due_at": {"$exists": True}})


def _check_lists(verdict: Verdict, traffic: Traffic, http: httpx.Client, label: str) -> None:
    conversations = list(_pages(http, f"{label}/conversations"))
    _conversations(verdict, traffic, "API", conversations)
    shown: Rows = []
    for conversation in conversations:
        fan = conversation["participant"]["provider_id"]
        shown += [_listed(m, fan) for m in _pages(http, f"{label}/conversations/{conversation['id']}/messages")]
    _messages(verdict, traffic, "API", shown)
    comments = [(comment["provider_id"], comment["text"]) for comment in _pages(http, f"{label}/comments")]
    _comments(verdict, traffic, "API", comments)


def _pages(http: httpx.Client, path: str) -> Iterator[Doc]:
    cursor: dict[str, str] = {}
    while True:
        page = http.get(path, params={"limit": "100"} | cursor).raise_for_status().json()
        yield from page["data"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def _stored(doc: Doc, fans: dict[str, str]) -> tuple[str, Doc]:
    content = doc.get("content", {})
    edit = content.get("edit")
    shown = {
        "fan": fans.get(doc.get("conversation_id", "")),
        "direction": doc.get("direction"),
        "sent_ms": _ms(doc.get("sent_at")),
        "text": edit["text"] if edit else content.get("original", {}).get("text"),
        "emoji": content.get("reactions", {}).get("fan", {}).get("emoji"),
        "deleted": "deleted_at" in doc,
        "read_ms": _ms(doc.get("read_at")),
    }
    return doc["provider_id"], shown


def _listed(message: Doc, fan: str) -> tuple[str, Doc]:
    shown = {
        "fan": fan,
        "direction": message["direction"],
        "sent_ms": _ms(message["sent_at"]),
        "text": message["text"],
        "emoji": next((r["emoji"] for r in message["reactions"] if r["by"] == "fan"), None),
        "deleted": message["deleted_at"] is not None,
        "read_ms": _ms(message["read_at"]),
    }
    return message["provider_id"], shown


def _messages(verdict: Verdict, traffic: Traffic, place: str, shown: Rows) -> None:
    _once(verdict, f"message in the {place}", traffic.messages, shown)
    for mid, found in shown:
        wanted = traffic.messages.get(mid)
        if wanted is None:
            continue
        expected = wanted.shown() | ({"read_ms": wanted.read_ms} if wanted.read_ms else {})
        differs = sorted(name for name, value in expected.items() if found[name] != value)
        if differs:
            verdict.wrong.append(f"message {mid} in the {place}: {', '.join(differs)}")


def _conversations(verdict: Verdict, traffic: Traffic, place: str, docs: list[Doc]) -> None:
    unread, newest = traffic.unread(), traffic.newest_ms()
    rows = [(doc["participant"]["provider_id"], doc) for doc in docs]
    _once(verdict, f"conversation in the {place}", unread, rows)
    for fan, doc in rows:
        if doc["unread_count"] != unread[fan]:
            verdict.wrong.append(f"unread_count of {fan} in the {place}: {doc['unread_count']}, not {unread[fan]}")
        if _ms(doc.get("last_message_at")) != newest.get(fan):
            verdict.wrong.append(f"last_message_at of {fan} in the {place}")


def _comments(verdict: Verdict, traffic: Traffic, place: str, rows: list[tuple[str, Any]]) -> None:
    _once(verdict, f"comment in the {place}", traffic.comments, rows)
    verdict.wrong += [f"comment {key} in the {place}: text" for key, text in rows if text != traffic.comments.get(key)]


def _events(verdict: Verdict, traffic: Traffic, everything: dict[str, list[Doc]]) -> None:
    about = {doc["_id"]: doc["provider_id"] for name in ("messages", "comments") for doc in everything[name]}
    told = [doc for doc in everything["events"] if not doc["key"].startswith("conversation:")]  # of fans' names
    found = Counter((doc["type"], about.get(doc["target"], doc["target"])) for doc in told)
    found = Counter({key: count for key, count in found.items() if key[0] != "connection.changed"})
    _count(verdict, "event", traffic.events(), found)


def _once(verdict: Verdict, what: str, wanted: Iterable[str], rows: list[tuple[str, Any]]) -> None:
    _count(verdict, what, Counter(list(wanted)), Counter(key for key, _ in rows))


def _count(verdict: Verdict, what: str, wanted: Counter[Any], found: Counter[Any]) -> None:
    for key in wanted | found:
        missing = wanted[key] - found[key]
        if missing > 0:
            verdict.lost.append(f"{what} {key}: {missing} missing")
        if missing < 0:
            verdict.twice.append(f"{what} {key}: {-missing} too many")


def _ms(time: datetime | str | None) -> int | None:
    if time is None:
        return None
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return round(moment.timestamp() * 1000)
