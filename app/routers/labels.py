"""Labels, the tenants."""

from typing import Annotated

from fastapi import APIRouter, Response, Security

from app import cursors
from app.access import Access, PartsDep, PersonDep, label_access
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Forbidden, InvalidCursor, InvalidInput, NotFound, SlugTaken, StaleVersion, Unauthenticated
from app.models.labels import LabelChange, LabelCreate, LabelOut, LabelPage
from app.problems import problems
from app.services.labels import labels

router = APIRouter(prefix="/v1/labels", tags=["labels"])
Reader = Annotated[Access, Security(label_access, scopes=["label:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["label:write"])]


@router.post(
    "", operation_id="createLabel", status_code=201, responses=problems(InvalidInput, SlugTaken, Unauthenticated)
)
async def create_label(parts: PartsDep, person: PersonDep, body: LabelCreate, response: Response) -> LabelOut:
    """Make a label. The caller becomes its owner."""
    label = await labels.create_label(
        parts.db,
        person.user_id,
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


@router.get("", operation_id="listLabels", responses=problems(InvalidInput, InvalidCursor, Unauthenticated))
async def list_labels(parts: PartsDep, person: PersonDep, paging: PagingDep) -> LabelPage:
    """The labels that the caller works for, the oldest first."""
    place = f"labels:{person.user_id}"
    after = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await labels.page_of_labels(parts.db, person.user_id, after=after, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return LabelPage(data=[LabelOut.of(label, None) for label in page], next_cursor=following)


@router.get("/{label_id}", operation_id="getLabel", responses=problems(NotFound, Unauthenticated))
async def get_label(parts: PartsDep, access: Reader, response: Response) -> LabelOut:
    """One label."""
    label = await labels.need_label(parts.db, access.label_id)
    response.headers["ETag"] = version_tag(label)
    return LabelOut.of(label, access.role)


@router.patch(
    "/{label_id}",
    operation_id="changeLabel",
    responses=problems(InvalidInput, Forbidden, NotFound, SlugTaken, StaleVersion, Unauthenticated),
)
async def change_label(
    parts: PartsDep, access: Writer, body: LabelChange, versions: VersionsDep, response: Response
) -> LabelOut:
    """Change a label; what is left out stays."""
    changes = body.model_dump(exclude_unset=True)
    label = await labels.change_label(parts.db, access.label_id, changes=changes, versions=versions)
    response.headers["ETag"] = version_tag(label)
    return LabelOut.of(label, access.role)
