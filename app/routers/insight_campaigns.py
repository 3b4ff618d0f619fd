"""Insights of a release plan: what came of everything that hangs on it."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Security

from app.access import Access, PartsDep, label_access
from app.db import Doc
from app.errors import NotFound
from app.models.insights import CampaignInsights, CampaignTargetOut, CampaignTotalOut, InsightMediaOut
from app.problems import problems
from app.services.insights.campaigns import campaign

router = APIRouter(prefix="/v1/labels/{label_id}/insights/campaigns", tags=["insights"])
Reader = Annotated[Access, Security(label_access, scopes=["insights:read"])]


@router.get("/{plan_id}", operation_id="getCampaignInsights", responses=problems(NotFound))
async def get_campaign_insights(parts: PartsDep, access: Reader, plan_id: str) -> CampaignInsights:
    """What a release plan's publications have reached, each where it went out, and together as far as it adds up."""
    found = await campaign(parts.db, access.label_id, plan_id, now=parts.clock())
    targets = [
        CampaignTargetOut(
            publication_id=target["publication_id"],
            connection_id=target["connection_id"],
            provider_id=target.get("provider_id"),
            state=target["state"],
            media=InsightMediaOut.of(media) if media else None,
            reason=None if media else _why_none(target),
        )
        for target, media in found.targets
    ]
    totals = [CampaignTotalOut(**asdict(total)) for total in found.totals]
    return CampaignInsights(plan_id=plan_id, publications=found.publications, targets=targets, totals=totals)


def _why_none(target: Doc) -> Literal["not_published", "not_seen_yet", "id_unknown"]:
    if target["state"] != "published":
        return "not_published"
    return "not_seen_yet" if target.get("provider_id") else "id_unknown"
