"""The label's files: uploaded straight into the storage, looked at, cut to shape, and shown by short-lived links."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.clients.objects import Limits
from app.db import Doc
from app.deps import PagingDep, VersionsDep, WaitDep, answer_operation, version_tag, wait_for_end
from app.errors import AssetInUse, Conflict, InvalidCursor, InvalidInput, NotFound, StaleVersion, StorageFull
from app.models.assets import (
    AssetChange,
    AssetCreate,
    AssetKind,
    AssetOut,
    AssetPage,
    AssetState,
    UploadOut,
    UsesOut,
)
from app.models.operations import OperationOut
from app.parts import Parts
from app.problems import problems
from app.services import operations
from app.services.assets import keys, links, reading, room, store, uses

router = APIRouter(prefix="/v1/labels/{label_id}/assets", tags=["assets"])
Reader = Annotated[Access, Security(label_access, scopes=["assets:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["assets:write"])]
_MADE = problems(InvalidInput, StorageFull, BillingReadOnly, PlanLimitReached)
_DONE: dict[int | str, dict[str, Any]] = {
    200: {"model": AssetOut, "description": "The same, when it was done within the time of `Prefer: wait`"}
}


@router.post("", operation_id="createAsset", status_code=201, responses=_MADE)
async def create_asset(parts: PartsDep, access: Writer, body: AssetCreate, response: Response) -> AssetOut:
    """Begin an upload: send the file as `upload` says, within an hour, and then complete it.

    The form lets in exactly this type, and no more bytes than were said. What is not completed within a day is gone.
    """
    now = parts.clock()
    asset = await store.create(
        parts.db,
        parts.audit,
        access.label_id,
        body,
        most_bytes=await _most_bytes(parts, access, now),
        meter=parts.meter,
        by=access.by,
        now=now,
    )
    limits = Limits(body.content_type, asset["upload_bytes"], store.UPLOAD)
    key = keys.quarantine(access.label_id, asset["_id"])
    signed = await parts.objects.presign_upload(key, limits, now=now)
    response.headers["Location"] = f"/v1/labels/{access.label_id}/assets/{asset['_id']}"
    response.headers["ETag"] = version_tag(asset)
    upload = UploadOut(url=signed.url, method="POST", fields=signed.fields, headers={}, expires_at=now + store.UPLOAD)
    return AssetOut.of(asset, upload=upload)


@router.post(
    "/{asset_id}/complete",
    operation_id="completeAsset",
    status_code=202,
    responses=problems(NotFound, Conflict) | _DONE,
)
async def complete_asset(
    parts: PartsDep, access: Writer, asset_id: str, wait_s: WaitDep, response: Response
) -> AssetOut:
    """Say that the file is uploaded. A worker looks at it; then it is `ready`, or `refused` with a `problem`.

    Where nothing has arrived it is `pending` again, and can be completed once it has.
    """
    asset = await store.complete(parts.db, access.label_id, asset_id, now=parts.clock())
    return await _answer(parts, asset, wait_s, response)


@router.get("", operation_id="listAssets", responses=problems(InvalidInput, InvalidCursor))
async def list_assets(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    kind: Annotated[AssetKind | None, Query(description="Only images, or only videos")] = None,
    state: Annotated[AssetState | None, Query(description="Only those that stand so")] = None,
) -> AssetPage:
    """The label's files, the newest first, and how much room they take."""
    place, now = f"assets:{access.label_id}", parts.clock()
    found = await reading.page_of_assets(
        parts.db,
        access.label_id,
        kind=kind,
        state=state,
        before=cursors.decode_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return AssetPage(
        data=[AssetOut.of(one, links=await links.previews(parts.objects, one, now=now)) for one in page],
        next_cursor=following,
        used_bytes=await room.used(parts.db, access.label_id),
        most_bytes=await _most_bytes(parts, access, now),
    )


@router.get("/{asset_id}", operation_id="getAsset", responses=problems(NotFound))
async def get_asset(parts: PartsDep, access: Reader, asset_id: str, response: Response) -> AssetOut:
    """One file, with links to its renditions that last ten minutes."""
    return await _shown(parts, await reading.need(parts.db, access.label_id, asset_id), response)


@router.patch(
    "/{asset_id}",
    operation_id="changeAsset",
    responses=problems(InvalidInput, NotFound, StaleVersion, Conflict, StorageFull),
)
async def change_asset(
    parts: PartsDep, access: Writer, asset_id: str, body: AssetChange, versions: VersionsDep, response: Response
) -> AssetOut:
    """Change what is said of a file; what is left out stays.

    Of another `focus` the renditions are made anew: until `operation_id` has ended, the old ones are shown. They take
    room for a day more, and so many may do so that the focus can be changed ten times a day.
    """
    before = await reading.need(parts.db, access.label_id, asset_id)
    asset = await store.change(
        parts.db,
        parts.audit,
        access.label_id,
        asset_id,
        changes=body.stored(),
        versions=versions,
        most_bytes=parts.settings.label_storage_bytes,
        by=access.by,
        now=parts.clock(),
    )
    if asset["operation_id"] and asset["operation_id"] != before["operation_id"]:
        await parts.bell.ring(asset["operation_id"])
    return await _shown(parts, asset, response)


@router.delete(
    "/{asset_id}",
    operation_id="deleteAsset",
    status_code=202,
    responses=problems(NotFound, StaleVersion, AssetInUse)
    | {200: {"model": OperationOut, "description": "The same, when it ended within the time of `Prefer: wait`"}},
)
async def delete_asset(
    parts: PartsDep, access: Writer, asset_id: str, versions: VersionsDep, wait_s: WaitDep, response: Response
) -> OperationOut:
    """Delete a file. It is gone at once; the operation deletes it from the storage, until nothing is left.

    Refused while something that has not gone out yet needs it.
    """
    operation = await store.delete(
        parts.db, parts.audit, access.label_id, asset_id, versions=versions, by=access.by, now=parts.clock()
    )
    return await answer_operation(parts, operation, wait_s, response)


@router.get("/{asset_id}/uses", operation_id="listAssetUses", responses=problems(NotFound))
async def list_asset_uses(parts: PartsDep, access: Reader, asset_id: str) -> UsesOut:
    """Where a file is used: the newest 100 of each kind, those first that still need it."""
    await reading.need(parts.db, access.label_id, asset_id)
    return UsesOut(data=await uses.of_asset(parts.db, access.label_id, asset_id))


async def _answer(parts: Parts, asset: Doc, wait_s: float, response: Response) -> AssetOut:
    """Ring for the asset's operation, and answer with the asset: `202`, or `200` when that ended within the time."""
    label_id = asset["label_id"]
    await parts.bell.ring(asset["operation_id"])
    response.headers["Location"] = f"/v1/operations/{asset['operation_id']}"
    if wait_s:
        operation = await operations.need(parts.db, label_id, asset["operation_id"])
        ended = await wait_for_end(parts, operation, wait_s)
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        response.status_code = 200 if ended["state"] in operations.ENDED else 202
        asset = await reading.need(parts.db, label_id, asset["_id"])
    return await _shown(parts, asset, response)


async def _shown(parts: Parts, asset: Doc, response: Response) -> AssetOut:
    response.headers["ETag"] = version_tag(asset)
    return AssetOut.of(asset, links=await links.previews(parts.objects, asset, now=parts.clock()))


async def _most_bytes(parts: Parts, access: Access, now: datetime) -> int:
    """What the label's files may take: by its plan, or where billing is off by our settings."""
    return await parts.meter.storage_bytes(access.label_id, now=now, otherwise=parts.settings.label_storage_bytes)
