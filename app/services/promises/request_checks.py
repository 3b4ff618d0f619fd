"""Checks of requests about one's own data: none is past its due date, and restrictions are kept."""

from app.models.privacy_requests import RequestKind
from app.services.promises.promise import Check, Look, Measured
from app.services.promises.sampling import WHY, all_told, living, sample

MOST = 1000


def in_time(*kinds: RequestKind) -> Check:
    """Requests of these kinds that are open and past their due date."""

    async def check(look: Look) -> Measured:
        query = {"closed_at": None, "due_at": {"$lte": look.now}, "kind": {"$in": list(kinds)}}
        found = await look.db.open("privacy_requests").count_documents(query, limit=MOST, comment=WHY)
        return Measured(found, detail=" ".join(kinds) if found else "")

    return check


async def erased_are_gone(look: Look) -> Measured:
    """Accounts that are still here though their erasure has ended."""
    asked = [one for one in await sample(look, "privacy_requests") if one["kind"] == "erasure"]
    done = [one for one in asked if one["state"] == "done" and one["user_id"]]
    alive = await living(look.db, "users", [one["user_id"] for one in done])
    return all_told({"privacy_requests": [one for one in done if one["user_id"] in alive]})
