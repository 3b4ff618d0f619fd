"""The secrets of API clients: how they look, and what a typing error costs."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from app.db import Database
from app.errors import InvalidClient
from app.models.access import META_SCOPES, PERMISSIONS, MetaScope, Scope
from app.services.partners import clients
from app.services.partners.client_secrets import ALPHABET, RANDOM, is_well_formed, make, match

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET, KEY = make("usr_1", life=timedelta(days=90), now=NOW)
OTHER, OTHER_KEY = make("usr_1", life=timedelta(days=90), now=NOW)
PLACES = range(len(SECRET))


def test_how_one_looks() -> None:
    """A prefix that scanners know, 238 random bits, and a checksum; another one each time."""
    assert re.fullmatch(r"sok_[0-9A-Za-z]{46}", SECRET) and SECRET != OTHER
    assert math.log2(len(ALPHABET) ** RANDOM) > 238
    assert is_well_formed(SECRET) and is_well_formed(OTHER)
    assert KEY["expires_at"] - KEY["created_at"] == timedelta(days=90)


def test_what_is_stored_cannot_be_used() -> None:
    """A hash and four characters."""
    assert SECRET not in str(KEY) and SECRET[4:20] not in str(KEY)
    assert re.fullmatch("[0-9a-f]{64}", KEY["digest"]) and KEY["hint"] == SECRET[-4:]
    assert not is_well_formed(KEY["digest"])


def test_every_single_slip_is_found() -> None:
    """Each character in each place by each other one, left out, doubled, or exchanged with the next: 3,000 and more."""
    slips = {SECRET[:at] + other + SECRET[at + 1 :] for at in PLACES for other in ALPHABET}
    slips |= {SECRET[:at] + again + SECRET[at + 1 :] for at in PLACES for again in ("", SECRET[at] * 2)}
    slips |= {SECRET[:at] + SECRET[at + 1 : at + 2] + SECRET[at : at + 1] + SECRET[at + 2 :] for at in PLACES}
    slips -= {SECRET}
    assert len(slips) > 3000
    assert [slip for slip in slips if is_well_formed(slip)] == []


@given(st.text() | st.text(ALPHABET, min_size=46, max_size=46).map("sok_{}".format))
def test_other_text(text: str) -> None:
    """Is refused without an error, whatever it is."""
    assert not is_well_formed(text)


async def test_a_slip_asks_no_database() -> None:
    """It is refused without one; for the secret itself the one that is away is missed."""
    db = Database("mongodb://127.0.0.1:9/none")
    for slip in (SECRET[:-1], SECRET + "0", "sok_" + "0" * 46, "", "x" * 10_000, SECRET.swapcase()):
        with pytest.raises(InvalidClient):
            await clients.prove(db, "cli_1", slip, now=NOW, request_id="req_1")
    with pytest.raises(PyMongoError):
        await clients.prove(db, "cli_1", SECRET, now=NOW, request_id="req_1")
    db.close()


def test_a_secret_is_known_again() -> None:
    """Among two, wherever it stands; another's is not, and with no keys there is none."""
    for keys in ([KEY], [KEY, OTHER_KEY], [OTHER_KEY, KEY]):
        assert match(keys, SECRET) == KEY
    assert match([OTHER_KEY], SECRET) is None and match([], SECRET) is None


def test_scopes_are_those_of_the_table() -> None:
    """Partners' permissions, and of them those that reach data from Meta."""
    assert set(get_args(Scope)) == {name for name, rule in PERMISSIONS.items() if rule.partner}
    assert set(get_args(MetaScope)) == META_SCOPES
