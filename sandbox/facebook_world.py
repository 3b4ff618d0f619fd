"""What follows from the world for people and Pages: who may do what, and which webhooks flow."""

from sandbox.facebook_seed import PAGES, PEOPLE, Page, Person
from sandbox.seed import ACCOUNTS, Account
from sandbox.state import World


def granted(world: World, person_id: str) -> set[str]:
    """The permissions this person has granted and not withdrawn."""
    grant = world.grants.get(person_id)
    return {name for name, status in grant.permissions.items() if status == "granted"} if grant else set()


def tasks_of(world: World, person: Person, page: Page) -> list[str]:
    """What this person may do on this Page; nothing without a role."""
    seeded = list(person.tasks.get(page.id, ()))
    return world.roles.get(f"{person.id}/{page.id}", seeded)


def pages_of(world: World, person: Person) -> list[Page]:
    """The Pages on which this person has a role, and which they chose in the dialog."""
    grant = world.grants.get(person.id)
    if grant is None:
        return []
    return [page for page in PAGES if tasks_of(world, person, page) and (grant.pages is None or page.id in grant.pages)]


def linked_account(world: World, page: Page) -> Account | None:
    """The Instagram account behind this Page."""
    account_id = world.links.get(page.id, page.instagram_id)
    return next((account for account in ACCOUNTS if account.id == account_id), None)


def flows_through_page(world: World, account_id: str, field: str) -> bool:
    """Whether the Meta app hears this of an Instagram account: its Page has the app, and someone allowed it.

    Which Page fields are subscribed does not matter: the app-level `instagram` subscription decides (section 2.1).
    """
    if field in ("comments", "live_comments", "mentions"):
        needed = "instagram_manage_comments"
    elif field.startswith("messag") or field == "standby":
        needed = "instagram_manage_messages"
    else:
        needed = "instagram_basic"
    subscribed = [page for page in PAGES if world.subscriptions.get(page.id)]
    pages = [page for page in subscribed if (linked := linked_account(world, page)) and linked.id == account_id]
    allowing = [person for person in PEOPLE if pages and needed in granted(world, person.id)]
    return any(page in pages_of(world, person) for person in allowing for page in pages)
