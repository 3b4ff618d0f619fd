"""The stand-in for Google Analytics: it answers everything alike, and counts what Google would."""

from typing import Any

import pytest

from tests.sandbox.sandbox_harness import Sandbox

PATH = "/www.google-analytics.com/mp/collect"
KEYS = {"measurement_id": "G-TEST0001", "api_secret": "s"}
GOOD: dict[str, Any] = {"client_id": "a", "events": [{"name": "page_view", "params": {"page_title": "inbox"}}]}


def test_what_is_well_formed_is_in_the_ledger(sandbox: Sandbox) -> None:
    """With its body, under the property."""
    answer = sandbox.http.post(PATH, params=KEYS, json=GOOD)
    assert (answer.status_code, answer.content) == (204, b"")
    [row] = sandbox.http.get("/_sandbox/ledger", params={"kind": "usage_collected"}).json()["rows"]
    assert (row["measurement_id"], row["body"]) == ("G-TEST0001", GOOD)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        GOOD | {"client_id": 1},
        GOOD | {"events": []},
        GOOD | {"events": GOOD["events"] * 26},
        GOOD | {"events": [{"name": "a b"}]},
        GOOD | {"events": [{"name": "x" * 41}]},
    ],
)
def test_the_rest_counts_for_nothing(sandbox: Sandbox, body: Any) -> None:
    """And is answered alike, as Google does."""
    assert sandbox.http.post(PATH, params=KEYS, json=body).status_code == 204
    assert sandbox.http.post(PATH, json=GOOD).status_code == 204
    assert sandbox.http.get("/_sandbox/ledger", params={"kind": "usage_collected"}).json()["rows"] == []
