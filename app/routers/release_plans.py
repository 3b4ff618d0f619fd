"""Release plans: publications hang on a release's date, and move with it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, Security

from app import cursors
from app.access import Access, PartsDep, label_access
from app.billing_errors import BillingReadOnly, PlanLimitReached
from app.db import Doc
from app.deps import PagingDep, VersionsDep, version_tag
from app.errors import Conflict, InvalidCursor, InvalidInput, NotFound, StaleVersion
from app.models.release_plans import (
    MovedOut,
    ReleasePlanChange,
    ReleasePlanCreate,
    ReleasePlanMove,
    ReleasePlanMoved,
    ReleasePlanOut,
    ReleasePlanPage,
)
from app.problems import problems
from app.publication_errors import Embargoed
from app.publishing_deps import hand_of
from app.services.publications import moving, plans
from app.services.publications.embargo import first_midnight

router = APIRouter(prefix="/v1/labels/{label_id}/release-plans", tags=["publishing"])
Reader = Annotated[Access, Security(label_access, scopes=["publishing:read"])]
Writer = Annotated[Access, Security(label_access, scopes=["publishing:write"])]


@router.post(
    "", operation_id="createReleasePlan", status_code=201, responses=problems(InvalidInput, Conflict, BillingReadOnly)
)
async def create_release_plan(
    parts: PartsDep, access: Writer, body: ReleasePlanCreate, response: Response
) -> ReleasePlanOut:
    """Make a plan of a release. Publications name it as `plan_id`, and by `offset` move with its date."""
    await parts.meter.need_writable(access.label_id, now=parts.clock())
    plan = await plans.create_plan(hand_of(parts, access), body.model_dump(mode="json"))
    response.headers["Location"] = f"/v1/labels/{access.label_id}/release-plans/{plan['_id']}"
    return _shown(plan, response)


@router.get("", operation_id="listReleasePlans", responses=problems(InvalidInput, InvalidCursor))
async def list_release_plans(parts: PartsDep, access: Reader, paging: PagingDep) -> ReleasePlanPage:
    """The label's release plans, newest first."""
    place = f"release_plans:{access.label_id}"
    before = cursors.decode_id(parts.cursor_key, place, paging.cursor)
    found = await plans.page_of_plans(parts.db, access.label_id, before=before, limit=paging.limit)
    page, following = cursors.cut(parts.cursor_key, place, found, ["_id"], limit=paging.limit)
    return ReleasePlanPage(data=[_shown(plan) for plan in page], next_cursor=following)


@router.get("/{plan_id}", operation_id="getReleasePlan", responses=problems(NotFound))
async def get_release_plan(parts: PartsDep, access: Reader, plan_id: str, response: Response) -> ReleasePlanOut:
    """One release plan."""
    return _shown(await plans.need_plan(parts.db, access.label_id, plan_id), response)


@router.patch(
    "/{plan_id}",
    operation_id="changeReleasePlan",
    responses=problems(InvalidInput, NotFound, StaleVersion, Embargoed),
)
async def change_release_plan(
    parts: PartsDep, access: Writer, plan_id: str, body: ReleasePlanChange, versions: VersionsDep, response: Response
) -> ReleasePlanOut:
    """Change a plan, but not its date. Refused where something that is scheduled would then reveal it too early."""
    changes = body.model_dump(exclude_unset=True, mode="json")
    return _shown(await plans.change_plan(hand_of(parts, access, versions), plan_id, changes), response)


@router.delete(
    "/{plan_id}",
    operation_id="deleteReleasePlan",
    status_code=204,
    responses=problems(InvalidInput, NotFound, StaleVersion, Conflict),
)
async def delete_release_plan(parts: PartsDep, access: Writer, plan_id: str, versions: VersionsDep) -> None:
    """Delete a plan that no publication hangs on."""
    await plans.delete_plan(hand_of(parts, access, versions), plan_id)


@router.post(
    "/{plan_id}/move",
    operation_id="moveReleasePlan",
    responses=problems(InvalidInput, NotFound, StaleVersion, BillingReadOnly, PlanLimitReached),
)
async def move_release_plan(
    parts: PartsDep,
    access: Writer,
    plan_id: str,
    body: ReleasePlanMove,
    versions: VersionsDep,
    response: Response,
    dry_run: Annotated[bool, Query(description="Whether only to tell what would become of each")] = False,
) -> ReleasePlanMoved:
    """Move the release's date, and with it what hangs on it by an offset: all of it or nothing.

    What is published, or about to be, stays. What would reveal the release too early at its new time, or whose time
    would have passed, is taken back, to be scheduled anew. A month that gets more must have room for it in the plan.
    """
    hand = hand_of(parts, access, versions)
    moved = await moving.move(hand, plan_id, body.release_date.isoformat(), dry_run=dry_run)
    shown = [
        MovedOut(
            publication_id=one.publication["_id"],
            state=one.publication["state"],
            outcome=one.outcome,
            reason=one.reason,
            before=one.before,
            after=one.after,
        )
        for one in moved.moves
    ]
    return ReleasePlanMoved(plan=_shown(moved.plan, response), dry_run=dry_run, publications=shown)


def _shown(plan: Doc, response: Response | None = None) -> ReleasePlanOut:
    if response is not None:
        response.headers["ETag"] = version_tag(plan)
    return ReleasePlanOut.of(plan, first_midnight(plan))
