"""Exports: a copy of one's own data, or of a label's, and how to get it."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response, Security
from starlette.responses import StreamingResponse

from app import cursors
from app.access import SIGNED, Access, FreshPersonDep, PartsDep, PersonDep, label_access, state_of
from app.clients.objects import ObjectMissing, ObjectsError
from app.db import Doc
from app.deps import PagingDep, WaitDep, answer_operation
from app.errors import (
    InvalidCursor,
    InvalidInput,
    InvalidToken,
    NotFound,
    ReauthenticationRequired,
    TooManyRequests,
    Unavailable,
)
from app.export_errors import ExportExpired, ExportNotReady, ExportRunning
from app.models.exports import ExportLink, ExportOut, ExportPage
from app.models.operations import OperationOut
from app.parts import Parts
from app.problems import problems
from app.services.audit import By
from app.services.exports import handing, store
from app.services.sealed_stream import StreamBroken

router = APIRouter(tags=["exports"])
MINE, LABELS = "/v1/me/exports", "/v1/labels/{label_id}/exports"
FILE = "/v1/exports/file"
Owner = Annotated[Access, Security(label_access, scopes=["label:own"])]
ENDED = {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}}
ASKED = problems(ExportRunning, InvalidInput, TooManyRequests) | ENDED
HANDED = problems(ExportExpired, ExportNotReady, NotFound)
WHOLE: Mapping[int | str, Any] = {
    200: {
        "description": "The zip, whole: its length is told, and a file that is shorter is broken",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    MINE,
    operation_id="createMyExport",
    status_code=202,
    responses=ASKED | problems(ReauthenticationRequired),
)
async def create_my_export(
    parts: PartsDep, person: FreshPersonDep, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Have a copy made of all that is stored of the caller. Needs a fresh log-in.

    `target` of the operation is the export. A mail tells when it is complete. One at a time, three a day.
    """
    operation = await store.ask(
        parts.db,
        parts.audit,
        kind="person",
        user_id=person.user_id,
        label_id=None,
        by=person.by,
        now=parts.clock(),
    )
    return await answer_operation(parts, operation, wait_s, response)


@router.get(MINE, operation_id="listMyExports", responses=problems(InvalidInput, InvalidCursor))
async def list_my_exports(parts: PartsDep, person: PersonDep, paging: PagingDep) -> ExportPage:
    """The caller's exports of the last 30 days, the newest first."""
    return await _page(parts, None, person.user_id, paging)


@router.get(MINE + "/{export_id}", operation_id="getMyExport", responses=problems(NotFound))
async def get_my_export(parts: PartsDep, person: PersonDep, export_id: str) -> ExportOut:
    """One of the caller's exports."""
    return ExportOut.of(await _need(parts, export_id, None, person.user_id))


@router.get(
    MINE + "/{export_id}/download",
    operation_id="downloadMyExport",
    responses=HANDED | problems(ReauthenticationRequired),
)
async def download_my_export(parts: PartsDep, person: FreshPersonDep, export_id: str) -> ExportLink:
    """A link to the file, for a browser to go to: it works once, for 5 minutes. Needs a fresh log-in."""
    export = await _need(parts, export_id, None, person.user_id)
    return await _link(parts, export, person.user_id, person.session_id)


@router.post(LABELS, operation_id="createLabelExport", status_code=202, responses=ASKED)
async def create_label_export(parts: PartsDep, access: Owner, wait_s: WaitDep, response: Response) -> OperationOut:
    """Have a copy made of all that a label has here. Needs a fresh log-in; it is for who asked alone.

    One at a time, three a day for a label.
    """
    operation = await store.ask(
        parts.db,
        parts.audit,
        kind="label",
        user_id=access.user_id,
        label_id=access.label_id,
        by=access.by,
        now=parts.clock(),
    )
    return await answer_operation(parts, operation, wait_s, response)


@router.get(LABELS, operation_id="listLabelExports", responses=problems(InvalidInput, InvalidCursor))
async def list_label_exports(parts: PartsDep, access: Owner, paging: PagingDep) -> ExportPage:
    """The label's exports of the last 30 days, the newest first. Needs a fresh log-in."""
    return await _page(parts, access.label_id, access.label_id, paging)


@router.get(LABELS + "/{export_id}", operation_id="getLabelExport", responses=problems(NotFound))
async def get_label_export(parts: PartsDep, access: Owner, export_id: str) -> ExportOut:
    """One of the label's exports. Needs a fresh log-in."""
    return ExportOut.of(await _need(parts, export_id, access.label_id, access.label_id))


@router.get(LABELS + "/{export_id}/download", operation_id="downloadLabelExport", responses=HANDED)
async def download_label_export(parts: PartsDep, access: Owner, export_id: str) -> ExportLink:
    """A link to the file, for the owner who asked: it works once, for 5 minutes. Needs a fresh log-in."""
    export = await _need(parts, export_id, access.label_id, access.label_id)
    return await _link(parts, export, access.user_id, access.session_id)


@router.get(
    FILE,
    operation_id="getExportFile",
    openapi_extra=SIGNED,
    response_class=Response,
    responses=problems(ExportExpired, ExportNotReady, InvalidToken, Unavailable) | dict(WHOLE),
)
async def get_export_file(
    request: Request,
    parts: PartsDep,
    token: Annotated[str, Query(min_length=1, max_length=100, description="Of the link")],
) -> Response:
    """The file of a link, which works this once. It is opened on its way: what lies in the storage is sealed."""
    state = state_of(request)
    by = By("person", "", state["client"].network, state["request_id"])
    told: dict[str, Any] = {"by": by, "now": parts.clock()}
    export = await handing.take(parts.db, parts.audit, token, use=False, **told)
    day = export["made_at"].date().isoformat()
    headers = {
        "Content-Length": str(export["file"]["bytes"]),
        "Content-Disposition": f'attachment; filename="soundops-{export["kind"]}-{day}.zip"',
        "X-Accel-Buffering": "no",
    }
    if state["head"]:
        return Response(media_type="application/zip", headers=headers)
    try:
        opener = await handing.opener_of(parts.objects, parts.export_key, export)
    except (ObjectMissing, StreamBroken):
        raise ExportExpired from None
    except ObjectsError:
        raise Unavailable from None  # the link is still good
    await handing.take(parts.db, parts.audit, token, use=True, **told)
    pieces: AsyncIterator[bytes] = handing.chunks(parts.objects, opener, export)
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


async def _need(parts: Parts, export_id: str, label_id: str | None, about: str) -> Doc:
    return await store.need(parts.db, export_id, label_id=label_id, about=about, now=parts.clock())


async def _page(parts: Parts, label_id: str | None, about: str, paging: PagingDep) -> ExportPage:
    place = f"exports:{about}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    asked: dict[str, Any] = {"label_id": label_id, "about": about, "before": before, "now": parts.clock()}
    found = await store.page_of(parts.db, limit=paging.limit, **asked)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return ExportPage(data=[ExportOut.of(export) for export in page], next_cursor=following)


async def _link(parts: Parts, export: Doc, user_id: str, session_id: str) -> ExportLink:
    link = await handing.link_to(parts.db, export, user_id=user_id, session_id=session_id, now=parts.clock())
    url = f"{parts.settings.public_url}{FILE}?token={quote(link.token)}"
    return ExportLink(url=url, expires_at=link.expires_at)
