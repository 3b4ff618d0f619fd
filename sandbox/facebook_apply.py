"""What the journal rows of the Facebook side do to the world; apply.py does the rest."""

from collections.abc import Callable

from sandbox.journal import Row
from sandbox.state import Code, Grant, World


def _permissions_granted(world: World, row: Row) -> None:
    """A person went through the dialog: what they decided now is added to what they had decided before."""
    person_id = row["account_id"]
    known = world.grants.get(person_id)
    permissions = (known.permissions if known else {}) | row["permissions"]
    world.grants[person_id] = Grant(permissions, row["pages"], row["at"])
    world.issued.append(row["code"])
    scopes = [name for name, status in permissions.items() if status == "granted"]
    world.codes[row["code"]] = Code(person_id, row["redirect_uri"], scopes, row["at"])


def _permissions_revoked(world: World, row: Row) -> None:
    """One permission is gone, or all of them and with them every token of this person and of their Pages."""
    person_id, name = row["account_id"], row.get("permission")
    if name:
        world.grants[person_id].permissions.pop(name, None)
        return
    world.grants.pop(person_id, None)
    _kill(world, person_id, row["subcode"])


def _permissions_set(world: World, row: Row) -> None:
    grant = world.grants[row["account_id"]]
    for name, status in row["permissions"].items():
        if status is None:
            grant.permissions.pop(name, None)
        else:
            grant.permissions[name] = status


def _sessions_ended(world: World, row: Row) -> None:
    _kill(world, row["account_id"], row["subcode"])


def _checkpoint_set(world: World, row: Row) -> None:
    (world.checkpointed.add if row["active"] else world.checkpointed.discard)(row["account_id"])


def _role_changed(world: World, row: Row) -> None:
    """Without a role on a Page, a person's tokens for it are dead, for good."""
    world.roles[f"{row['person_id']}/{row['account_id']}"] = row["tasks"]
    if not row["tasks"]:
        for token in world.tokens.values():
            if (token.person_id, token.account_id) == (row["person_id"], row["account_id"]):
                token.dead_subcode = token.dead_subcode or 492


def _link_changed(world: World, row: Row) -> None:
    world.links[row["account_id"]] = row["instagram_id"]


def _kill(world: World, person_id: str, subcode: int) -> None:
    for token in world.tokens.values():
        if token.person_id == person_id:
            token.dead_subcode = token.dead_subcode or subcode


FACEBOOK_CHANGES: dict[str, Callable[[World, Row], None]] = {
    "permissions_granted": _permissions_granted,
    "permissions_revoked": _permissions_revoked,
    "permissions_set": _permissions_set,
    "sessions_ended": _sessions_ended,
    "checkpoint_set": _checkpoint_set,
    "role_changed": _role_changed,
    "link_changed": _link_changed,
}
