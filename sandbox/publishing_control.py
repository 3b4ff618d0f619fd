"""The control API of publishing: how it goes, and what the next containers suffer."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from sandbox.box import Sandbox
from sandbox.state import ControlModel


class Order(ControlModel):
    """How the next containers, and the next videos of Pages, behave; items of carousels are not meant."""

    behaviour: Literal["error", "never", "expired", "slow"]
    seconds: float = Field(default=30, ge=0, le=86_400)
    """How long a `slow` one takes."""
    times: int = Field(default=1, ge=1, le=100_000)


class RulesOrder(ControlModel):
    """How publishing goes, for everybody; what is left out goes back to its default."""

    image_s: float = Field(default=0, ge=0, le=86_400)
    """So long an image is processed."""
    video_s: float = Field(default=2, ge=0, le=86_400)
    quota_total: int = Field(default=50, ge=0, le=1_000_000)
    containers_total: int = Field(default=400, ge=0, le=1_000_000)


def publishing_routes(box: Sandbox) -> APIRouter:
    """How publishing goes."""
    router = APIRouter(prefix="/_sandbox/publishing")

    @router.get("")
    async def rules() -> dict[str, Any]:
        """How it goes now."""
        return {"rules": asdict(box.world.posted.rules), "orders": box.world.posted.orders}

    @router.put("")
    async def set_rules(order: RulesOrder) -> dict[str, Any]:
        """Set times and quotas."""
        box.record("publishing_rules_set", rules=order.model_dump())
        return order.model_dump()

    @router.post("/orders")
    async def add_order(order: Order) -> dict[str, Any]:
        """Have the next containers fail, never finish, expire, or take long."""
        box.record("publishing_ordered", order=order.model_dump())
        return order.model_dump()

    @router.delete("/orders")
    async def clear_orders() -> dict[str, Any]:
        """Have them behave again."""
        box.record("publishing_orders_cleared")
        return {"orders": []}

    return router
