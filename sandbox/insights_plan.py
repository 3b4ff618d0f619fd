"""How Meta's insights behave: what is retired, late, missing or too small; and media that were posted by hand."""

from datetime import date
from typing import Any, Literal

from fastapi import APIRouter

from sandbox import figures
from sandbox.box import Sandbox, new_number_id
from sandbox.state import ControlModel, InsightsPlan, Millis
from sandbox.subjects import need_subject


class ByHand(ControlModel):
    """Something that an account posts in Instagram's own app."""

    account: str
    product_type: Literal["FEED", "REELS", "STORY", "AD"] = "FEED"
    at: Millis | None = None
    """Now when left out."""


def insights_routes(box: Sandbox) -> APIRouter:
    """Insights, and what they are of."""
    router = APIRouter(prefix="/_sandbox")

    @router.get("/insights")
    async def plan() -> InsightsPlan:
        """How they behave now."""
        return box.world.insights

    @router.put("/insights")
    async def set_plan(order: InsightsPlan) -> InsightsPlan:
        """Set it; what is left out goes back to its default."""
        box.record("insights_set", plan=order.model_dump(mode="json"))
        return order

    @router.get("/insights/figure")
    async def figure(node: str, metric: str, day: date) -> dict[str, Any]:
        """The figure of an account or Page on a day, so that whoever checks need not compute it."""
        return {"value": figures.of_day(need_subject(node).id, metric, day)}

    @router.post("/media")
    async def post(order: ByHand) -> dict[str, Any]:
        """An account posts something, without the product; Meta tells nobody."""
        account_id, media_id = need_subject(order.account).id, new_number_id("180")
        told = {"account_id": account_id, "media_id": media_id, "product_type": order.product_type}
        box.record("media_posted_by_hand", **told, posted_ms=order.at or box.now_ms())
        return told

    return router
