"""Connecting an account anew in place: the connection stays, and gets fresh tokens."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app.access import Access, PartsDep, label_access
from app.deps import version_tag
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, ProviderNotAvailable, Unauthenticated
from app.models.connections import ConnectionRenewal, ConnectionStarted
from app.problems import problems
from app.services.connections import beginning, store
from app.services.connections.beginning import Beginner, Wish

router = APIRouter(tags=["connections"])
_AS_IT_IS = ConnectionRenewal()
"""What is wished where the request has no body."""
Writer = Annotated[Access, Security(label_access, scopes=["connections:write"])]


@router.post(
    "/v1/labels/{label_id}/connections/{connection_id}/reconnect",
    operation_id="reconnectConnection",
    status_code=201,
    responses=problems(InvalidInput, Forbidden, NotFound, Conflict, ProviderNotAvailable, Unauthenticated),
)
async def reconnect_connection(
    parts: PartsDep, access: Writer, connection_id: str, response: Response, body: ConnectionRenewal = _AS_IT_IS
) -> ConnectionStarted:
    """Begin a log-in that renews this connection: send its owner's browser to `authorize_url`, as for a new one.

    The answer is the log-in, a connection of its own that is `pending`. When the same account logs in, this connection
    gets the fresh tokens and features and keeps all that came from the account; the log-in ends as `replaced_by` it.
    Another account changes nothing. A connection can be renewed while it is `active` or `needs_reauth`.
    """
    if body.return_to is not None:
        beginning.check_return_to(parts.settings, body.return_to)
    known = await store.need(parts.db, access.label_id, connection_id)
    if known["status"] not in ("active", "needs_reauth"):
        raise Conflict("Only a connection that is active or needs a new log-in can be renewed")
    features, keeps = body.features or known["features"], body.features is None
    wish = Wish(known["provider"], features, body.return_to, renews=connection_id, keeps_features=keeps)
    who = Beginner(access.label_id, access.user_id, access.session_id, access.by)
    begun, authorize_url = await beginning.begin(parts.db, parts.settings, parts.audit, wish, who, now=parts.clock())
    response.headers["Location"] = f"/v1/labels/{access.label_id}/connections/{begun['_id']}"
    response.headers["ETag"] = version_tag(begun)
    return ConnectionStarted.at(begun, authorize_url)
