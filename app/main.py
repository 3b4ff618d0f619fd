"""`create_app()`: the one place where the parts are wired together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from pymongo.errors import PyMongoError
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from app import problems
from app.access import access_table
from app.db import create_indexes
from app.deps import check_query
from app.edge import Edge, Guard
from app.idempotency import Idempotency
from app.logs import get_logger
from app.parts import Parts
from app.readiness import Indexes
from app.routers import (
    assets,
    audit,
    billing,
    billing_records,
    calendar,
    comment_actions,
    comments,
    connection_accounts,
    connection_backfill,
    connection_end,
    connection_health,
    connection_renewal,
    connections,
    consents,
    conversations,
    erasure,
    exports,
    health,
    insight_campaigns,
    insights,
    labels,
    me,
    members,
    messages,
    meta_callbacks,
    notes,
    numbers,
    oauth,
    operations,
    partners,
    people,
    policies,
    privacy_labels,
    privacy_me,
    privacy_promises,
    privacy_records,
    publication_steps,
    publication_targets,
    publications,
    release_plans,
    rules,
    saved_replies,
    sessions,
    signs,
    slots,
    stream,
    support,
    unsubscribing,
    usage,
    webhooks,
)
from app.upgrade import upgrade

log = get_logger(__name__)
SHOWN_TO_BROWSERS = [
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
]
TAKEN_FROM_BROWSERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
]


class Shared(CORSMiddleware):
    """Answers a preflight that is not allowed as browsers need it, without the permission; not by words of its own."""

    def preflight_response(self, request_headers: Headers) -> Response:
        found = super().preflight_response(request_headers)
        if found.status_code != 200:
            for name in [name for name in found.headers if name.startswith("access-control-")]:
                del found.headers[name]
        kept = {name: value for name, value in found.headers.items() if not name.startswith("content-")}
        return Response(status_code=204, headers=kept)


def create_app(parts: Parts) -> ASGIApp:
    """The API, ready to serve. The parts are closed when its lifespan ends."""
    routes = create_routes(parts)
    guarded = Guard(Idempotency(routes, parts=parts), parts=parts)
    shared = Shared(
        guarded,
        allow_origins=parts.settings.origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
        allow_headers=TAKEN_FROM_BROWSERS,
        expose_headers=SHOWN_TO_BROWSERS,
        max_age=600,
    )
    return Edge(shared, trusted_hops=parts.settings.trusted_hops)


def create_routes(parts: Parts | None = None) -> FastAPI:
    """The routes, which the contract is made from; without parts, for the contract alone."""
    app = FastAPI(openapi_url=None, redirect_slashes=False, lifespan=_lifespan, dependencies=[Depends(check_query)])
    app.state.parts, app.state.indexes = parts, Indexes()
    problems.install(app)
    of_people = (people, sessions, me, exports, privacy_me, consents, policies, usage, unsubscribing)
    of_partners = (partners, oauth)
    of_connections = (
        connections,
        connection_accounts,
        connection_renewal,
        connection_health,
        connection_backfill,
        connection_end,
    )
    of_inbox = (conversations, messages, signs, notes, saved_replies, comments, comment_actions, rules, numbers)
    of_publishing = (assets, publications, publication_steps, publication_targets, calendar, slots, release_plans)
    of_label = (labels, members, audit, support, privacy_labels, *of_connections, *of_inbox, *of_publishing)
    of_labels = (*of_label, insights, insight_campaigns, billing, billing_records, operations, stream)
    of_everybody = (health, privacy_promises, privacy_records, webhooks, meta_callbacks, erasure)
    routers = [module.router for module in (*of_people, *of_labels, *of_partners, *of_everybody)]
    app.state.access = access_table(routers)
    for router in routers:
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make missing indexes at the start, close everything at the end. Without the store we start, and are not ready."""
    parts: Parts = app.state.parts
    try:
        await create_indexes(parts.db)
        await upgrade(parts.db)
    except PyMongoError as exc:
        log.warning("indexes not made: the store is away", reason=type(exc).__name__)
    yield
    await parts.close()
