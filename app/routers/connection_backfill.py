"""Having the gaps of a connected account filled."""

from typing import Annotated

from fastapi import APIRouter, Request, Response, Security

from app.access import Access, PartsDep, label_access, state_of
from app.deps import WaitDep, answer_operation
from app.errors import ConnectionNotActive, Forbidden, NotFound, TooManyRequests, Unauthenticated
from app.models.operations import OperationOut
from app.problems import problems
from app.services.connections import backfill

router = APIRouter(tags=["connections"])
Writer = Annotated[Access, Security(label_access, scopes=["inbox:write"])]


@router.post(
    "/v1/labels/{label_id}/connections/{connection_id}/backfill",
    operation_id="backfillConnection",
    status_code=202,
    responses=problems(ConnectionNotActive, Forbidden, NotFound, TooManyRequests, Unauthenticated)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def backfill_connection(
    request: Request, parts: PartsDep, access: Writer, connection_id: str, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Have what the provider shows of the last 30 days read back, and what is missing here added.

    Nothing that was unsent or has expired comes back. It happens by itself too: after connecting, after webhooks were
    off, and once a day. Meta shows the 20 newest messages of a conversation.
    """
    place = f"backfill {access.label_id} {connection_id}"
    await parts.limiter.hit("check_connection", place, state_of(request)["standings"])
    operation = await backfill.ask(
        parts.db,
        access.label_id,
        connection_id,
        intent=getattr(request.state, "intent", None),
        now=parts.clock(),
    )
    return await answer_operation(parts, operation, wait_s, response)
