"""How a connection is, as far as it was checked; and having it checked now."""

from typing import Annotated

from fastapi import APIRouter, Request, Response, Security

from app.access import Access, PartsDep, label_access, state_of
from app.deps import WaitDep, answer_operation
from app.errors import ConnectionNotActive, Forbidden, NotFound, TooManyRequests, Unauthenticated
from app.models.connection_health import ConnectionHealth
from app.models.operations import OperationOut
from app.problems import problems
from app.services.connections import health, planning, store

router = APIRouter(tags=["connections"])
PATH = "/v1/labels/{label_id}/connections/{connection_id}"
Reader = Annotated[Access, Security(label_access, scopes=["connections:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["connections:write"])]


@router.get(PATH + "/health", operation_id="getConnectionHealth", responses=problems(NotFound, Unauthenticated))
async def get_connection_health(parts: PartsDep, access: Reader, connection_id: str) -> ConnectionHealth:
    """How the connection is, as the last check found it: every trouble is a diagnosis with what to do.

    Connections are checked about every six hours, and soon after a provider refused something.
    """
    connection = await store.need(parts.db, access.label_id, connection_id)
    return health.of(
        connection,
        advanced=parts.settings.has_advanced_access(connection["provider"]),
        reconnecting=await store.is_being_renewed(parts.db, connection),
        now=parts.clock(),
    )


@router.post(
    PATH + "/check",
    operation_id="checkConnection",
    status_code=202,
    responses=problems(ConnectionNotActive, Forbidden, NotFound, TooManyRequests, Unauthenticated)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def check_connection(
    request: Request, parts: PartsDep, access: Writer, connection_id: str, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Have the connection checked now; then its health is fresh. What can be put right is."""
    await parts.limiter.hit("check_connection", f"{access.label_id} {connection_id}", state_of(request)["standings"])
    operation = await planning.ask(parts.db, access.label_id, connection_id, now=parts.clock())
    return await answer_operation(parts, operation, wait_s, response)
