"""Publications as they are written: drafts, their checks, their versions, and what the team says of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly
from app.deps import PagingDep, VersionsDep
from app.errors import InvalidCursor, InvalidInput, NotFound, StaleVersion
from app.models.publication_imports import ImportOrder, ImportOut, RowErrorOut, RowOut
from app.models.publication_reviews import (
    PublicationCommentCreate,
    PublicationCommentOut,
    PublicationCommentPage,
    ValidationOut,
    VersionOut,
    VersionPage,
)
from app.models.publications import (
    CONTENT,
    TIMING,
    PublicationChange,
    PublicationCreate,
    PublicationOut,
    PublicationPage,
    State,
)
from app.problems import problems
from app.publication_errors import WrongState
from app.publishing_deps import answer_publication, check_out, hand_of, problem_out
from app.publishing_errors import AlreadyPublishing
from app.services.publications import checking, comments, drafts, importing, writing
from app.services.publishing.queueing import targets_of

router = APIRouter(prefix="/v1/labels/{label_id}/publications", tags=["publishing"])
Reader = Annotated[Access, Security(label_access, scopes=["publishing:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["publishing:write"])]
_LIST = problems(InvalidInput, InvalidCursor, NotFound)
_CHANGED = problems(InvalidInput, NotFound, StaleVersion, WrongState, AlreadyPublishing)


@router.post("", operation_id="createPublication", status_code=201, responses=problems(InvalidInput, BillingReadOnly))
async def create_publication(
    parts: PartsDep, access: Writer, body: PublicationCreate, response: Response
) -> PublicationOut:
    """Write a draft. It may be unfinished: what Meta would refuse is told by the validation, and refused later."""
    await parts.meter.need_writable(access.label_id, now=parts.clock())
    made = await drafts.create(hand_of(parts, access), drafts.stored_body(body))
    response.headers["Location"] = f"/v1/labels/{access.label_id}/publications/{made['_id']}"
    return await answer_publication(parts, made, response)


@router.get("", operation_id="listPublications", responses=_LIST)
async def list_publications(
    parts: PartsDep,
    access: Reader,
    paging: PagingDep,
    state: Annotated[State | None, Query(description="Only what is in this state")] = None,
    connection_id: Annotated[str | None, Query(max_length=64, description="Only what goes to this account")] = None,
    plan_id: Annotated[str | None, Query(max_length=64, description="Only what hangs on this release plan")] = None,
) -> PublicationPage:
    """The label's publications, newest first."""
    place = f"publications:{access.label_id}:{state}:{connection_id}:{plan_id}"
    found = await drafts.page_of(
        parts.db,
        access.label_id,
        state=state,
        connection_id=connection_id,
        plan_id=plan_id,
        before=cursors.decode_id(parts.cursor_key, place, paging.cursor),
        limit=paging.limit,
    )
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    targets = await targets_of(parts.db, access.label_id, [one["_id"] for one in page])
    shown = [PublicationOut.of(one, targets.get(one["_id"], [])) for one in page]
    return PublicationPage(data=shown, next_cursor=following)


@router.post("/validate", operation_id="validatePublication", responses=problems(InvalidInput))
async def validate_publication(parts: PartsDep, access: Writer, body: PublicationCreate) -> ValidationOut:
    """Tell what would be refused, and what is odd, at each target: each limit that would be broken, with its value and
    where it is from. Nothing is stored."""
    assembled = await drafts.assemble(parts.db, access.label_id, drafts.stored_body(body))
    return await _validated(parts, access, assembled)


@router.post("/import", operation_id="importPublications", responses=problems(InvalidInput, BillingReadOnly))
async def import_publications(parts: PartsDep, access: Writer, body: ImportOrder) -> ImportOut:
    """Make a draft of each row of a table. A row that is refused is told, and nothing of it is stored."""
    await parts.meter.need_writable(access.label_id, now=parts.clock())
    hand = hand_of(parts, access)
    rows = await importing.import_csv(hand, body.csv, timezone=body.timezone, dry_run=body.dry_run)
    shown = [
        RowOut(
            row=row.number,
            outcome="refused" if row.draft is None else "would_be_made" if body.dry_run else "made",
            publication_id=None if row.draft is None or body.dry_run else row.draft["_id"],
            errors=[RowErrorOut(column=column, detail=detail) for column, detail in row.errors],
            problems=[problem_out(one) for one in row.problems],
        )
        for row in rows
    ]
    refused = sum(row.outcome == "refused" for row in shown)
    return ImportOut(made=0 if body.dry_run else len(shown) - refused, refused=refused, rows=shown)


@router.get("/{publication_id}", operation_id="getPublication", responses=problems(NotFound))
async def get_publication(parts: PartsDep, access: Reader, publication_id: str, response: Response) -> PublicationOut:
    """One publication, and how far it is at each account."""
    found = await writing.need(parts.db, access.label_id, publication_id)
    return await answer_publication(parts, found, response)


@router.patch("/{publication_id}", operation_id="changePublication", responses=_CHANGED)
async def change_publication(
    parts: PartsDep,
    access: Writer,
    publication_id: str,
    body: PublicationChange,
    versions: VersionsDep,
    response: Response,
) -> PublicationOut:
    """Change a publication; what is left out stays. It is a draft again: an approval was of another version, and what
    was scheduled is taken back. What has begun to be published is not changed any more."""
    hand = hand_of(parts, access, versions)
    changed = await drafts.change(hand, publication_id, drafts.stored_change(body))
    return await answer_publication(parts, changed, response)


@router.delete("/{publication_id}", operation_id="deletePublication", status_code=204, responses=_CHANGED)
async def delete_publication(parts: PartsDep, access: Writer, publication_id: str, versions: VersionsDep) -> None:
    """Delete what is not published and not scheduled, with its versions and comments."""
    await drafts.delete(hand_of(parts, access, versions), publication_id)


@router.post("/{publication_id}/validate", operation_id="validateStoredPublication", responses=problems(NotFound))
async def validate_stored_publication(parts: PartsDep, access: Reader, publication_id: str) -> ValidationOut:
    """Tell what would be refused if it went out as it is, and what is odd, at each target."""
    return await _validated(parts, access, await writing.need(parts.db, access.label_id, publication_id))


async def _validated(parts: PartsDep, access: Access, publication: dict[str, object]) -> ValidationOut:
    checked = await checking.check(parts.db, access.label_id, publication, now=parts.clock())
    return ValidationOut(
        valid=checked.valid,
        targets=[check_out(target) for target in checked.targets],
        counts=checking.counts(publication),
        scheduled_at=publication.get("scheduled_at"),
        time_rule=publication.get("time_rule"),
    )


@router.get("/{publication_id}/versions", operation_id="listPublicationVersions", responses=_LIST)
async def list_publication_versions(
    parts: PartsDep, access: Reader, publication_id: str, paging: PagingDep
) -> VersionPage:
    """What the publication was, newest first, and what each change changed."""
    place = f"versions:{access.label_id}:{publication_id}"
    before = cursors.decode(parts.cursor_key, place, paging.cursor)[0] if paging.cursor else None
    found = await drafts.page_of_versions(parts.db, access.label_id, publication_id, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["version"], limit=paging.limit)
    shown = [_version(row, found[n + 1] if n + 1 < len(found) else None) for n, row in enumerate(page)]
    return VersionPage(data=shown, next_cursor=following)


@router.post(
    "/{publication_id}/versions/{version}/restore", operation_id="restorePublicationVersion", responses=_CHANGED
)
async def restore_publication_version(
    parts: PartsDep,
    access: Writer,
    publication_id: str,
    version: Annotated[int, Path(ge=1, le=2**53)],
    versions: VersionsDep,
    response: Response,
) -> PublicationOut:
    """Make the publication what it was in that version: a new version, and a draft."""
    restored = await drafts.restore(hand_of(parts, access, versions), publication_id, version)
    return await answer_publication(parts, restored, response)


@router.get("/{publication_id}/comments", operation_id="listPublicationComments", responses=_LIST)
async def list_publication_comments(
    parts: PartsDep, access: Reader, publication_id: str, paging: PagingDep
) -> PublicationCommentPage:
    """What the team has said and decided about it, newest first."""
    place = f"publication_comments:{access.label_id}:{publication_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await comments.page_of(parts.db, access.label_id, publication_id, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return PublicationCommentPage(data=[PublicationCommentOut.of(one) for one in page], next_cursor=following)


@router.post(
    "/{publication_id}/comments",
    operation_id="createPublicationComment",
    status_code=201,
    responses=problems(InvalidInput, NotFound),
)
async def create_publication_comment(
    parts: PartsDep, access: Writer, publication_id: str, body: PublicationCommentCreate
) -> PublicationCommentOut:
    """Say something to the team about it. Nobody else sees it."""
    return PublicationCommentOut.of(await comments.add(hand_of(parts, access), publication_id, body.text))


@router.delete(
    "/{publication_id}/comments/{publication_comment_id}",
    operation_id="deletePublicationComment",
    status_code=204,
    responses=problems(NotFound),
)
async def delete_publication_comment(
    parts: PartsDep, access: Writer, publication_id: str, publication_comment_id: str
) -> None:
    """Take a comment away: they are the team's. What was said with a decision stays."""
    await comments.delete(hand_of(parts, access), publication_id, publication_comment_id)


def _version(row: dict[str, dict[str, object]], before: dict[str, dict[str, object]] | None) -> VersionOut:
    now, then = row["content"], before["content"] if before else row["content"]
    changed = [name for name in (*CONTENT, *TIMING) if now.get(name) != then.get(name)]
    told = {name: now[name] for name in ("caption", "targets", "assets", "scheduled_at")}
    return VersionOut(**{name: row[name] for name in ("version", "by", "at")}, **told, changed=changed)
