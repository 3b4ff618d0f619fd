"""What becomes of a thread behind the product's back: another app takes it, or its fan cannot be reached any more."""

from typing import Any, Literal

from fastapi import APIRouter

from sandbox.box import Sandbox
from sandbox.facebook_seed import find_page, page_scoped_id
from sandbox.fans import need_account, need_fan
from sandbox.messages import messaging_item
from sandbox.state import ControlModel

OTHER_APP = "1000000000000001"


class OnThread(ControlModel):
    """A fan's thread with an account or a Page."""

    fan: str
    account: str


class Blocked(OnThread):
    """Whether the fan has blocked the account."""

    blocked: bool = True


class Handover(OnThread):
    """Who has the thread from now on."""

    to: Literal["us", "another_app"]


def thread_routes(box: Sandbox) -> APIRouter:
    """Control calls about threads."""
    router = APIRouter(prefix="/_sandbox/threads")

    @router.put("/blocked")
    async def block(order: Blocked) -> dict[str, Any]:
        """Let the fan block the account (551/1545041), or not any more. Meta tells nobody."""
        account_id, fan_id = _sides(order)
        box.record("fan_blocked", account_id=account_id, fan_id=fan_id, blocked=order.blocked)
        return {"account_id": account_id, "fan_id": fan_id, "blocked": order.blocked}

    @router.put("/owner")
    async def hand_over(order: Handover) -> dict[str, Any]:
        """Give the thread to another app, or back: what we send is refused meanwhile (100/2534037)."""
        account_id, fan_id = _sides(order)
        ours, field = order.to == "us", "messaging_handovers" if find_page(order.account) else "standby"
        part: dict[str, Any] = {"metadata": "sandbox"}
        name = "pass_thread_control" if ours else "take_thread_control"
        part |= {"new_owner_app_id": box.settings.app_id} if ours else {"previous_owner_app_id": OTHER_APP}
        item = messaging_item(fan_id, account_id, box.now_ms(), {name: part})
        webhooks = box.owed(account_id, field, "messaging", item)
        box.record("thread_passed", account_id=account_id, fan_id=fan_id, elsewhere=not ours, webhooks=webhooks)
        return {"account_id": account_id, "fan_id": fan_id, "to": order.to, "webhook": bool(webhooks)}

    return router


def _sides(order: OnThread) -> tuple[str, str]:
    fan, page = need_fan(order.fan), find_page(order.account)
    if page:
        return page.id, page_scoped_id(fan, page)
    account = need_account(order.account)
    return account.id, fan.scoped_id(account)
