"""Small things a fan sees: reactions, and that somebody types."""

from typing import Annotated, Any

from fastapi import APIRouter, Response, Security

from app.access import Access, PartsDep, label_access
from app.deps import WaitDep, answer_operation
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from app.models.messages import ReactionCreate, TypingCreate
from app.models.operations import OperationOut
from app.problems import problems
from app.services.inbox import reactions, signs
from app.services.inbox.eligibility import our_apps
from app.services.inbox.replies import REFUSED

router = APIRouter(prefix="/v1/labels/{label_id}", tags=["inbox"])
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]
_DONE: dict[int | str, dict[str, Any]] = {
    200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}
}
_REACTS = problems(*REFUSED.values(), InvalidInput, Conflict, Forbidden, NotFound, Unauthenticated) | _DONE


@router.post("/messages/{message_id}/reaction", operation_id="reactToMessage", status_code=202, responses=_REACTS)
async def react_to_message(
    parts: PartsDep, access: Writer, message_id: str, body: ReactionCreate, wait_s: WaitDep, response: Response
) -> OperationOut:
    """React to a message. The last wish wins: several that come together are one call."""
    operation = await reactions.queue_reaction(
        parts.db,
        access.label_id,
        message_id,
        emoji=body.emoji,
        app_ids=our_apps(parts.settings),
        now=parts.clock(),
    )
    return await answer_operation(parts, operation, wait_s, response)


@router.delete("/messages/{message_id}/reaction", operation_id="takeReactionBack", status_code=202, responses=_REACTS)
async def take_reaction_back(
    parts: PartsDep, access: Writer, message_id: str, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Take the account's reaction back."""
    operation = await reactions.queue_reaction(
        parts.db, access.label_id, message_id, emoji=None, app_ids=our_apps(parts.settings), now=parts.clock()
    )
    return await answer_operation(parts, operation, wait_s, response)


@router.post(
    "/conversations/{conversation_id}/typing",
    operation_id="showTyping",
    status_code=202,
    responses=problems(*REFUSED.values(), InvalidInput, Forbidden, NotFound, Unauthenticated) | _DONE,
)
async def show_typing(
    parts: PartsDep, access: Writer, conversation_id: str, body: TypingCreate, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Have the fan see that somebody types, or not any more.

    It is shown at once or not at all; Meta ends it by itself after some 20 seconds.
    """
    operation = await signs.queue_typing(
        parts.db,
        access.label_id,
        conversation_id,
        kind="show_typing" if body.state == "on" else "stop_typing",
        app_ids=our_apps(parts.settings),
        now=parts.clock(),
    )
    return await answer_operation(parts, operation, wait_s, response)
