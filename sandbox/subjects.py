"""Whom a control call may name: an Instagram account, a Page or a person."""

from sandbox.errors import ControlError
from sandbox.facebook_seed import Page, Person, find_page, find_person
from sandbox.seed import Account, find_account

Subject = Account | Page | Person


def find_subject(name: str) -> Subject | None:
    """Who has this name, handle or id."""
    return find_account(name) or find_page(name) or find_person(name)


def need_subject(name: str) -> Subject:
    """Who has this name, handle or id. Raises 404."""
    found = find_subject(name)
    if found is None:
        raise ControlError(f"There is no account, Page or person {name!r}.", 404)
    return found


def need_page(name: str) -> Page:
    """The Page of this name. Raises 404."""
    page = find_page(name)
    if page is None:
        raise ControlError(f"There is no Page {name!r}.", 404)
    return page


def need_person(name: str) -> Person:
    """The person of this name. Raises 404."""
    person = find_person(name)
    if person is None:
        raise ControlError(f"There is no person {name!r}.", 404)
    return person
