"""Targets of publications, each in the state that an operation needs: made by scheduling, and then set."""

from typing import Any, Protocol

import httpx

from app.db import Doc
from tests.house import House

STATES: dict[str, tuple[Doc, Doc]] = {
    "retryPublication": ({"state": "failed", "problem": {"code": "x", "detail": "X."}}, {"state": "failed"}),
    "decideOutcome": ({"state": "unknown", "fence": 1}, {"state": "unknown", "fence": 1}),
    "markPublished": ({"state": "to_do"}, {"state": "succeeded"}),
    "deletePost": ({"state": "published", "provider_id": "300_1"}, {"state": "succeeded"}),
}
"""What an operation needs: of the target, and of its operation, which nobody will look at again."""


class Label(Protocol):
    """As much of a side as is needed here."""

    owner: httpx.AsyncClient
    label_id: str
    ids: dict[str, list[str]]

    @property
    def path(self) -> str:
        """Where the label is."""


async def make_targets(house: House, side: Label, post: Doc) -> list[str]:
    """One for each operation, with its publication; the first one's id is given."""
    made = []
    for name, (of_target, of_operation) in STATES.items():
        body = post | {"caption": f"For {name}."}
        publication: Any = (await side.owner.post(f"{side.path}/publications", json=body)).raise_for_status().json()
        scheduled = await side.owner.post(f"{side.path}/publications/{publication['id']}/schedule")
        (delivery,) = scheduled.raise_for_status().json()["deliveries"]
        key = {"label_id": side.label_id, "_id": delivery["id"]}
        calling = {"calling": {"step": "publish", "at": house.clock(), "fence": 1}}
        changes: Doc = {"$set": of_target | calling} if name == "decideOutcome" else {"$set": of_target}
        await house.db.open("publication_targets").update_one(key, changes)
        ended: Doc = {"$set": of_operation, "$unset": {"due_at": ""}}
        place = {"label_id": side.label_id, "_id": delivery["operation_id"]}
        await house.db.open("operations").update_one(place, ended)
        state = {"unknown": "unknown", "failed": "failed", "to_do": "needs_decision", "published": "published"}
        own = {"label_id": side.label_id, "_id": publication["id"]}
        shown = {"$set": {"state": state[of_target["state"]]}}
        await house.db.open("publications").update_one(own, shown)
        side.ids[f"{name}.publication_id"], side.ids[f"{name}.target_id"] = [publication["id"]], [delivery["id"]]
        made.append(delivery["id"])
    return made
