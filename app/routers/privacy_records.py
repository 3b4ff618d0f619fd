"""The data map made visible: how long everything is kept, and the record of processing activities."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from app import pages
from app.accepting import wishes
from app.access import ANYBODY
from app.errors import InvalidInput
from app.models.promises import ProcessingOut, RetentionOut, RetentionRow
from app.problems import problems
from app.routers.privacy_promises import SAME, SEEN, cached
from app.services.processing.record import record, retention, sheet

router = APIRouter(tags=["privacy"])
Format = Annotated[Literal["json", "csv"] | None, Query(description="Instead of `Accept`")]
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}

WHOSE = {"team": "People who work with SoundOps", "fan": "Fans", "nobody": "Nobody in particular"}
OF = {
    "content": "what they write",
    "identity": "who they are",
    "technical": "ids and times of theirs",
    "secret": "what lets them in",
    "none": "nothing personal",
}


@router.get(
    "/v1/privacy/retention",
    operation_id="getRetention",
    openapi_extra=ANYBODY,
    response_model=RetentionOut,
    responses=problems(InvalidInput) | SAME | CSV,
)
async def get_retention(
    request: Request, response: Response, format: Format = None, if_none_match: SEEN = None
) -> RetentionOut | Response:
    """How long everything is kept, where, on what ground, and what deletes it: the code's own list."""
    shown = retention()
    if _wants_csv(request, format):
        return _as_csv(sheet(shown.data), "retention")
    response.headers["Vary"] = "Accept"
    return cached(shown, response, if_none_match)


@router.get(
    "/v1/privacy/record-of-processing",
    operation_id="getRecordOfProcessing",
    openapi_extra=ANYBODY,
    response_model=ProcessingOut,
    responses=problems(InvalidInput) | SAME | CSV,
)
async def get_record_of_processing(
    request: Request, response: Response, format: Format = None, if_none_match: SEEN = None
) -> ProcessingOut | Response:
    """The record of processing activities (GDPR, article 30). As CSV: a row an activity."""
    shown = record()
    if _wants_csv(request, format):
        return _as_csv(sheet(shown.activities), "record-of-processing")
    response.headers["Vary"] = "Accept"
    return cached(shown, response, if_none_match)


@router.get("/privacy/retention", operation_id="getRetentionPage", openapi_extra=ANYBODY, response_class=HTMLResponse)
async def get_retention_page() -> HTMLResponse:
    """How long everything is kept, for people."""
    stores = {"database": "In the database", "redis": "In Redis", "files": "Files", "logs": "In the log"}
    rows = [_for_people(row) for row in retention().data]
    tables = [{"name": name, "rows": [row for row in rows if row.store == store]} for store, name in stores.items()]
    shown = pages.render("retention.html", title="How long everything is kept", tables=tables)
    return HTMLResponse(shown, headers=pages.HEADERS)


def _for_people(row: RetentionRow) -> RetentionRow:
    return row.model_copy(update={"subject": WHOSE[row.subject], "personal": OF[row.personal]})


def _wants_csv(request: Request, asked: str | None) -> bool:
    if asked:
        return asked == "csv"
    wanted = wishes(request.headers.get("accept", ""), "text/csv", "application/json")
    return wanted["text/csv"] > wanted["application/json"]


def _as_csv(text: str, name: str) -> Response:
    told = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "public, max-age=60"}
    return Response(text, media_type="text/csv", headers=told | {"Vary": "Accept"})
