"""The control API for people and Pages: what they do in Facebook itself, where the product is not asked."""

from typing import Any

from fastapi import APIRouter

from sandbox import fans
from sandbox.box import Sandbox
from sandbox.control_models import CheckpointOrder, LinkOrder, PermissionsOrder, PersonOrder, RoleOrder
from sandbox.errors import ControlError
from sandbox.facebook_seed import PAGES, PEOPLE, PERMISSIONS
from sandbox.facebook_tokens import revoke_all
from sandbox.facebook_world import linked_account, tasks_of
from sandbox.state import World
from sandbox.subjects import need_page, need_person

PREFIX = "/_sandbox"


def people_routes(box: Sandbox) -> APIRouter:
    """What people do to their account and to the app."""
    router = APIRouter(prefix=f"{PREFIX}/people")

    @router.put("/permissions")
    async def permissions(order: PermissionsOrder) -> dict[str, Any]:
        """Withdraw permissions, or give them, in the settings. The tokens live on."""
        person = need_person(order.person)
        unknown = [name for name in order.permissions if name not in PERMISSIONS]
        if unknown:
            raise ControlError(f"There is no permission {unknown[0]!r}.", 422)
        if person.id not in box.world.grants:
            raise ControlError(f"{person.name} has not logged in to the app.", 409)
        box.record("permissions_set", account_id=person.id, permissions=order.permissions)
        return {"person": person.id, "permissions": box.world.grants[person.id].permissions}

    @router.post("/remove-app")
    async def remove_app(order: PersonOrder) -> dict[str, Any]:
        """Remove the app (190/458), with no callback: `/_sandbox/callback` sends one too."""
        person = need_person(order.person)
        revoke_all(box, person, "app_removed", 458)
        return {"person": person.id}

    @router.post("/password")
    async def password(order: PersonOrder) -> dict[str, Any]:
        """Change the password: every token of the person and of their Pages is dead (190/460)."""
        person = need_person(order.person)
        box.record("sessions_ended", account_id=person.id, subcode=460)
        return {"person": person.id}

    @router.put("/checkpoint")
    async def checkpoint(order: CheckpointOrder) -> dict[str, Any]:
        """Let Facebook ask the person to act (190/459), or be content again: then the tokens revive."""
        person = need_person(order.person)
        box.record("checkpoint_set", account_id=person.id, active=order.active)
        return {"person": person.id, "active": order.active}

    return router


def page_routes(box: Sandbox) -> APIRouter:
    """What becomes of Pages."""
    router = APIRouter(prefix=f"{PREFIX}/pages")

    @router.put("/role")
    async def role(order: RoleOrder) -> dict[str, Any]:
        """Change what a person may do on a Page."""
        person, page = need_person(order.person), need_page(order.page)
        box.record("role_changed", account_id=page.id, person_id=person.id, tasks=order.tasks)
        return {"person": person.id, "page": page.id, "tasks": order.tasks}

    @router.put("/link")
    async def link(order: LinkOrder) -> dict[str, Any]:
        """Link an Instagram account to a Page, or unlink it."""
        page = need_page(order.page)
        account_id = fans.need_account(order.account).id if order.account else None
        box.record("link_changed", account_id=page.id, instagram_id=account_id)
        return {"page": page.id, "instagram_id": account_id}

    return router


def show_pages(world: World) -> list[dict[str, Any]]:
    """The Pages, with what is set."""
    return [
        {
            "id": page.id,
            "name": page.name,
            "instagram": account.username if (account := linked_account(world, page)) else None,
            "in_business": page.in_business,
            "subscribed_fields": world.subscriptions.get(page.id, []),
            "people": {person.handle: tasks for person in PEOPLE if (tasks := tasks_of(world, person, page))},
        }
        for page in PAGES
    ]


def show_people(world: World) -> list[dict[str, Any]]:
    """The people, with what they have allowed."""
    return [
        {
            "id": person.id,
            "person": person.handle,
            "name": person.name,
            "permissions": grant.permissions if (grant := world.grants.get(person.id)) else {},
            "pages": grant.pages if grant else [],
            "checkpoint": person.id in world.checkpointed,
        }
        for person in PEOPLE
    ]
