"""What the routes of planning share: who acts on a publication, and how it is shown."""

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import Response

from app.access import Access
from app.db import Doc
from app.deps import version_tag, wait_for_end
from app.models.access import PERMISSIONS
from app.models.publication_reviews import ProblemOut, PublicationScheduled, TargetCheckOut, WarningOut
from app.models.publications import PublicationOut, shown
from app.parts import Parts
from app.services import operations
from app.services.publications.checking import TargetCheck, Warned
from app.services.publications.limits import Broken
from app.services.publications.scheduling import Scheduled
from app.services.publications.writing import Hand
from app.services.publishing.queueing import targets_of


def hand_of(parts: Parts, access: Access, versions: list[int] | None = None) -> Hand:
    """Who changes something, by the table of permissions."""
    may_approve = access.role in PERMISSIONS["publishing:approve"].roles
    return Hand(parts.db, parts.audit, access.label_id, access.by, parts.clock(), parts.meter, versions, may_approve)


async def answer_publication(parts: Parts, publication: Doc, response: Response) -> PublicationOut:
    """The publication with its targets, and its `ETag`."""
    response.headers["ETag"] = version_tag(publication)
    return PublicationOut.of(publication, await _targets(parts, publication))


async def answer_scheduled(
    parts: Parts, scheduled: Scheduled, wait_s: float, response: Response
) -> PublicationScheduled:
    """Ring for its operations, and answer with it: `202`, or `200` when all ended within the time of `Prefer: wait`."""
    publication = scheduled.publication
    targets = await _targets(parts, publication)
    ids = [target["operation_id"] for target in targets]
    for operation_id in ids:
        await parts.bell.ring(operation_id)
    if wait_s:
        found = [await operations.need(parts.db, publication["label_id"], one) for one in ids]
        ended = await asyncio.gather(*(wait_for_end(parts, one, wait_s) for one in found))
        response.headers["Preference-Applied"] = f"wait={wait_s:.0f}"
        response.status_code = 200 if all(one["state"] in operations.ENDED for one in ended) else 202
        key = {"_id": publication["_id"], "label_id": publication["label_id"]}
        publication = await parts.db.open("publications").find_one(key) or publication
        targets = await _targets(parts, publication)
    if ids:
        response.headers["Location"] = f"/v1/operations/{ids[0]}"
    response.headers["ETag"] = version_tag(publication)
    warnings = [warning_out(one) for one in scheduled.warnings]
    return PublicationScheduled(**shown(publication, targets), warnings=warnings)


async def _targets(parts: Parts, publication: Doc) -> list[Doc]:
    found = await targets_of(parts.db, publication["label_id"], [publication["_id"]])
    return found.get(publication["_id"], [])


def check_out(target: TargetCheck) -> TargetCheckOut:
    """What is wrong or odd at one target, as it is shown."""
    return TargetCheckOut(
        connection_id=target.connection_id,
        network=target.network,
        valid=not target.problems,
        problems=[problem_out(one) for one in target.problems],
        warnings=[warning_out(one) for one in target.warnings],
    )


def problem_out(broken: Broken) -> ProblemOut:
    """A broken limit, as it is shown."""
    told: dict[str, Any] = asdict(broken)
    limit = told.pop("limit")
    return ProblemOut(limit=list(limit) if isinstance(limit, tuple) else limit, **told)


def warning_out(warned: Warned) -> WarningOut:
    """An oddity, as it is shown."""
    return WarningOut(**asdict(warned))
