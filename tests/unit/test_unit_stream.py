"""Whoever may not read something is not told of it: each kind of event has its permission."""

from typing import get_args

from app.models.access import PERMISSIONS
from app.services.events import Type
from app.services.stream.items import READ_WITH, Item


def test_every_kind_of_event_has_its_permission() -> None:
    """By its first word; and no word is left over."""
    assert {kind.partition(".")[0] for kind in get_args(Type)} == set(READ_WITH)
    assert set(READ_WITH.values()) <= set(PERMISSIONS)


def test_what_has_no_permission_is_for_nobody() -> None:
    """A kind that the table does not know: not even for who may do everything."""
    everything = frozenset(PERMISSIONS)
    assert not Item(1, b"").is_for(everything)
    assert Item(1, b"", "inbox:read").is_for(everything) and not Item(1, b"", "inbox:read").is_for(frozenset())
    assert Item(1, b"", reset=True).is_for(frozenset())
