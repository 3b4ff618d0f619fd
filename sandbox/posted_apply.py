"""What each journal row about publishing does to the world."""

from collections.abc import Callable
from dataclasses import fields

from sandbox.journal import Row
from sandbox.posted_state import Container, PageItem, Rules
from sandbox.seed import Media
from sandbox.state import World

POSTED_LEDGER_KINDS = (
    *("container_created", "media_published", "media_deleted"),
    *("page_item_created", "page_item_published", "page_item_deleted"),
)


def _container_created(world: World, row: Row) -> None:
    values = {f.name: row[f.name] for f in fields(Container) if f.name in row}
    world.posted.containers[row["container_id"]] = Container(**values, id=row["container_id"])
    _take_order(world, row)


def _media_published(world: World, row: Row) -> None:
    container = world.posted.containers[row["container_id"]]
    container.media_id = row["media_id"]
    media = Media(
        row["media_id"], row["account_id"], container.caption, row["product_type"], row["at"], row["media_type"]
    )
    world.posted.media[media.id] = media


def _deleted(world: World, row: Row) -> None:
    world.posted.gone.add(row["media_id"])


def _page_item_created(world: World, row: Row) -> None:
    values = {f.name: row[f.name] for f in fields(PageItem) if f.name in row}
    world.posted.items[row["item_id"]] = PageItem(**values, id=row["item_id"])
    _take_order(world, row)


def _page_item_changed(world: World, row: Row) -> None:
    item = world.posted.items[row["item_id"]]
    for name, value in row["changes"].items():
        setattr(item, name, value)


def _order_added(world: World, row: Row) -> None:
    world.posted.orders.append(dict(row["order"]))


def _orders_cleared(world: World, row: Row) -> None:
    world.posted.orders.clear()


def _rules_set(world: World, row: Row) -> None:
    world.posted.rules = Rules(**row["rules"])


def _posted_by_hand(world: World, row: Row) -> None:
    media = Media(row["media_id"], row["account_id"], "", row["product_type"], row["posted_ms"])
    world.posted.media[media.id] = media


def _take_order(world: World, row: Row) -> None:
    """One of the first order's `times` is used up, where the row says that it was met."""
    if not row.get("by_order"):
        return
    first = world.posted.orders[0]
    first["times"] -= 1
    if not first["times"]:
        world.posted.orders.pop(0)


POSTED_CHANGES: dict[str, Callable[[World, Row], None]] = {
    "container_created": _container_created,
    "media_published": _media_published,
    "media_deleted": _deleted,
    "page_item_created": _page_item_created,
    "page_item_uploaded": _page_item_changed,
    "page_item_published": _page_item_changed,
    "page_item_deleted": _deleted,
    "publishing_ordered": _order_added,
    "publishing_orders_cleared": _orders_cleared,
    "publishing_rules_set": _rules_set,
    "media_posted_by_hand": _posted_by_hand,
}
