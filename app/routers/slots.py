"""Slots: when a label publishes every week."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Conflict, InvalidCursor, InvalidInput, NotFound, StaleVersion
from app.models.slots import SlotChange, SlotCreate, SlotOut, SlotPage
from app.problems import problems
from app.publishing_deps import hand_of
from app.services.labels import labels
from app.services.publications import slots

router = APIRouter(prefix="/v1/labels/{label_id}/slots", tags=["publishing"])
Reader = Annotated[Access, Security(label_access, scopes=["publishing:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["publishing:write"])]
_CHANGED = problems(InvalidInput, NotFound, StaleVersion)


@router.post(
    "", operation_id="createSlot", status_code=201, responses=problems(InvalidInput, Conflict, BillingReadOnly)
)
async def create_slot(parts: PartsDep, access: Writer, body: SlotCreate, response: Response) -> SlotOut:
    """Name a time of the week. `POST …/schedule` with `next_free_slot` puts a publication into the next one."""
    label = await labels.need_label(parts.db, access.label_id)
    stored = body.model_dump() | {"timezone": body.timezone or label["timezone"]}
    await parts.meter.need_writable(access.label_id, now=parts.clock())
    slot = await slots.create_slot(hand_of(parts, access), stored)
    response.headers["Location"] = f"/v1/labels/{access.label_id}/slots/{slot['_id']}"
    response.headers["ETag"] = version_tag(slot)
    return SlotOut.of(slot)


@router.get("", operation_id="listSlots", responses=problems(InvalidInput, InvalidCursor))
async def list_slots(parts: PartsDep, access: Reader, paging: PagingDep) -> SlotPage:
    """The label's slots, oldest first."""
    place = f"slots:{access.label_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await slots.page_of_slots(parts.db, access.label_id, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return SlotPage(data=[SlotOut.of(slot) for slot in page], next_cursor=following)


@router.get("/{slot_id}", operation_id="getSlot", responses=problems(NotFound))
async def get_slot(parts: PartsDep, access: Reader, slot_id: str, response: Response) -> SlotOut:
    """One slot."""
    slot = await slots.need_slot(parts.db, access.label_id, slot_id)
    response.headers["ETag"] = version_tag(slot)
    return SlotOut.of(slot)


@router.patch("/{slot_id}", operation_id="changeSlot", responses=_CHANGED)
async def change_slot(
    parts: PartsDep, access: Writer, slot_id: str, body: SlotChange, versions: VersionsDep, response: Response
) -> SlotOut:
    """Change a slot from now on: what has taken one of its times stays where it is."""
    changes = body.model_dump(exclude_unset=True)
    slot = await slots.change_slot(hand_of(parts, access, versions), slot_id, changes)
    response.headers["ETag"] = version_tag(slot)
    return SlotOut.of(slot)


@router.delete("/{slot_id}", operation_id="deleteSlot", status_code=204, responses=_CHANGED)
async def delete_slot(parts: PartsDep, access: Writer, slot_id: str, versions: VersionsDep) -> None:
    """Take a slot away; what has taken one of its times stays where it is."""
    await slots.delete_slot(hand_of(parts, access, versions), slot_id)
