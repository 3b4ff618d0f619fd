"""Whether what a rule names is the label's, and its patterns are ones that RE2 takes."""

from collections.abc import Iterator

from app.db import Database, Doc
from app.errors import FieldError, InvalidInput, NotFound
from app.services.inbox import saved_replies
from app.services.labels import members
from app.services.rules import patterns


async def check_references(db: Database, label_id: str, body: Doc, *, at: str = "") -> None:
    """Raise `InvalidInput` for a connection or a person that is not the label's, and for a bad pattern.

    `at` is where the rule stands in the request.
    """
    for pointer, condition in _conditions(body.get("conditions")):
        if condition.get("pattern") is not None:
            patterns.check(condition["pattern"], f"{at}{pointer}/pattern")
        for number, connection_id in enumerate(condition.get("connection_ids") or ()):
            if await db.open("connections").find_one({"_id": connection_id, "label_id": label_id}, {"_id": 1}) is None:
                raise _refused(f"{at}{pointer}/connection_ids/{number}", "must be a connection of the label's")
    for number, action in enumerate(body.get("actions") or ()):
        assignee = action.get("assignee")
        if assignee and await members.membership_of(db, assignee, label_id) is None:
            raise _refused(f"{at}/actions/{number}/assignee", "must be somebody who works for the label")
        if action.get("saved_reply_id"):
            try:
                await saved_replies.need(db, label_id, action["saved_reply_id"])
            except NotFound:
                detail = "must be a saved reply of the label's"
                raise _refused(f"{at}/actions/{number}/saved_reply_id", detail) from None


async def check_size(db: Database, label_id: str, body: Doc, *, instead_of: str | None = None, at: str = "") -> None:
    """Raise `InvalidInput` where the label's patterns, each of which is good, would be too large together."""
    others = [rule async for rule in db.open("rules").find({"label_id": label_id}) if rule["_id"] != instead_of]
    found = [one for rule in (*others, body) for _, one in _conditions(rule.get("conditions"))]
    steps = sum(patterns.compiled(one["pattern"]).programsize for one in found if one.get("pattern") is not None)
    if steps > patterns.MOST_STEPS_OF_LABEL:
        raise _refused(f"{at}/conditions", "make the patterns of the label's rules too large together")


def _conditions(told: Doc | None) -> Iterator[tuple[str, Doc]]:
    for number, one in enumerate(told["of"] if told else ()):
        yield f"/conditions/of/{number}", one
    for place, group in enumerate(told["groups"] if told else ()):
        for number, one in enumerate(group["of"]):
            yield f"/conditions/groups/{place}/of/{number}", one


def _refused(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput(errors=(FieldError(pointer, detail),))
