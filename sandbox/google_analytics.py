"""Google Analytics' Measurement Protocol: takes usage, and writes down what it got (ledger kind `usage_collected`).

As Google's own it answers `204` to everything, and looks at neither names nor secrets; what is malformed counts for
nothing. Source: developers.google.com, GA4 Measurement Protocol reference and limits.
"""

import json
import re
from typing import Any

from fastapi import APIRouter, Request, Response

from sandbox.box import Sandbox
from sandbox.faults import perform, take_fault

HOST = "www.google-analytics.com"
MOST_EVENTS, MOST_BYTES = 25, 130_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def google_analytics_routes(box: Sandbox) -> APIRouter:
    """The one call that there is."""
    router = APIRouter(prefix=f"/{HOST}")

    @router.post("/mp/collect")
    async def collect(request: Request) -> Response:
        """Count it."""
        raw = await request.body()
        fault = take_fault(box, request, f"{HOST}/mp/collect", None)

        async def execute() -> Response:
            query = request.query_params
            found = well_formed(raw)
            if found is not None and query.get("measurement_id") and query.get("api_secret"):
                box.record("usage_collected", measurement_id=query["measurement_id"], body=found)
            return Response(status_code=204)

        return await perform(fault, execute)

    return router


def well_formed(raw: bytes) -> dict[str, Any] | None:
    """The body, if Google would count it."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    if len(raw) > MOST_BYTES or not isinstance(body, dict) or not isinstance(body.get("client_id"), str):
        return None
    events = body.get("events")
    if not isinstance(events, list) or not 0 < len(events) <= MOST_EVENTS:
        return None
    named = [isinstance(event, dict) and _NAME.fullmatch(str(event.get("name"))) for event in events]
    return body if all(named) else None
