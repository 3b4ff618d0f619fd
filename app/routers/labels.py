"""Labels, the tenants."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, PersonDep, label_access
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import (
    Conflict,
    InvalidCursor,
    InvalidInput,
    LabelDeleting,
    NotDeleting,
    NotFound,
    SlugTaken,
    StaleVersion,
)
from app.models.labels import LabelChange, LabelCreate, LabelOut, LabelPage
from app.models.members import MemberOut, OwnershipTransfer
from app.models.operations import OperationOut
from app.problems import problems
from app.services.labels import deletion, labels, members

router = APIRouter(prefix="/v1/labels", tags=["labels"])
Reader = Annotated[Access, Security(label_access, scopes=["label:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["label:write"])]
Owner = Annotated[Access, Security(label_access, scopes=["label:own"])]


@router.post("", operation_id="createLabel", status_code=201, responses=problems(InvalidInput, SlugTaken))
async def create_label(parts: PartsDep, person: PersonDep, body: LabelCreate, response: Response) -> LabelOut:
    """Make a label. The caller becomes its owner."""
    label = await labels.create_label(
        parts.db,
        parts.audit,
        person.by,
        name=body.name,
        slug=body.slug,
        country=body.country,
        timezone=body.timezone,
        branding=body.branding.model_dump(),
        now=parts.clock(),
    )
    response.headers["Location"] = f"/v1/labels/{label['_id']}"
    response.headers["ETag"] = version_tag(label)
    return LabelOut.of(label, "owner")


@router.get("", operation_id="listLabels", responses=problems(InvalidInput, InvalidCursor))
async def list_labels(parts: PartsDep, person: PersonDep, paging: PagingDep) -> LabelPage:
    """The labels that the caller works for, the oldest first."""
    place = f"labels:{person.user_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await labels.page_of_labels(parts.db, person.user_id, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return LabelPage(data=[LabelOut.of(label, label["role"]) for label in page], next_cursor=following)


@router.get("/{label_id}", operation_id="getLabel")
async def get_label(parts: PartsDep, access: Reader, response: Response) -> LabelOut:
    """One label."""
    label = await labels.need_label(parts.db, access.label_id)
    response.headers["ETag"] = version_tag(label)
    return LabelOut.of(label, access.role)


@router.patch(
    "/{label_id}", operation_id="changeLabel", responses=problems(InvalidInput, NotFound, SlugTaken, StaleVersion)
)
async def change_label(
    parts: PartsDep, access: Writer, body: LabelChange, versions: VersionsDep, response: Response
) -> LabelOut:
    """Change a label: rename it, give it another slug, brand it; what is left out stays."""
    changes = body.model_dump(exclude_unset=True)
    label = await labels.change_label(
        parts.db,
        parts.audit,
        access.label_id,
        changes=changes,
        versions=versions,
        by=access.by,
        now=parts.clock(),
    )
    response.headers["ETag"] = version_tag(label)
    return LabelOut.of(label, access.role)


@router.delete("/{label_id}", operation_id="deleteLabel", status_code=202, responses=problems(LabelDeleting, NotFound))
async def delete_label(parts: PartsDep, access: Owner, response: Response) -> OperationOut:
    """Have the label deleted, with everything in it, in 14 days. Needs a fresh log-in.

    From now on nobody works in it; its members see when it goes, and its owners can restore it until then. A
    subscription is cancelled with the end of the time that is paid for, and goes on if the label is restored. The
    operation tells when (`due_at`) and what came of it; there is no use in waiting for it.
    """
    label = await labels.need_label(parts.db, access.label_id)
    operation = await deletion.announce(parts.db, parts.audit, label, by=access.by, now=parts.clock())
    response.headers["Location"] = f"/v1/operations/{operation['_id']}"
    return OperationOut.of(operation)


@router.post("/{label_id}/restore", operation_id="restoreLabel", responses=problems(NotDeleting, NotFound))
async def restore_label(parts: PartsDep, access: Owner, response: Response) -> LabelOut:
    """Keep a label that was going to be deleted. Needs a fresh log-in."""
    label = await labels.need_label(parts.db, access.label_id)
    label = await deletion.restore(parts.db, parts.audit, label, by=access.by, now=parts.clock())
    response.headers["ETag"] = version_tag(label)
    return LabelOut.of(label, access.role)


@router.post("/{label_id}/transfer", operation_id="transferLabel", responses=problems(InvalidInput, Conflict, NotFound))
async def transfer_label(parts: PartsDep, access: Owner, body: OwnershipTransfer) -> MemberOut:
    """Make a member the owner in the caller's place, who becomes an admin. Needs a fresh log-in."""
    label = await labels.need_label(parts.db, access.label_id)
    new, former = await members.transfer_ownership(
        parts.db, parts.audit, label, body.member_id, by=access.by, now=parts.clock()
    )
    await parts.note_outside("member_changed", new["_id"], "owner")
    await parts.note_outside("member_changed", former["_id"], "admin")
    return MemberOut.of(new, (await members.users_of(parts.db, [new]))[new["user_id"]])
