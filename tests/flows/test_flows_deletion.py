"""A person leaves at Meta's end: the sandbox posts what Meta would, each part a process of its own (R-43)."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.db import Doc
from tests.flows.test_flows_processes import ACCOUNT, Running, connect, everything_running

AS_JSON = {"Accept": "application/json"}


async def told(run: Running, kind: str, *, account: str = ACCOUNT, user_id: str = "id") -> Doc:
    """Have the sandbox post a callback; what it was answered."""
    answer = await run.meta.control("POST", "/callback", account=account, kind=kind, user_id=user_id)
    assert answer["status"] == 200, answer
    found: Doc = json.loads(answer["body"])
    return found


@pytest.mark.parametrize("user_id", ["id", "user_id"])
async def test_removed_and_then_asked_for_deletion(
    tmp_path: Path, mongodb_url: str, key_folder: Path, user_id: str
) -> None:
    """By whichever of the two ids; each request has a page, and another person's changes nothing."""
    async with everything_running(tmp_path, mongodb_url, key_folder) as run:
        label = await connect(run)
        [connection] = (await run.get(f"{label}/connections"))["data"]
        other = await told(run, "data-deletion", account="lowtide.tapes", user_id=user_id)
        assert (await run.get(f"{label}/connections/{connection['id']}"))["status"] == "active"
        assert await told(run, "deauthorize", user_id=user_id) == {"received": True}
        assert (await run.get(f"{label}/connections/{connection['id']}"))["status"] == "revoked"
        asked = await told(run, "data-deletion", user_id=user_id)
        assert set(asked) == {"url", "confirmation_code"} and asked["confirmation_code"] != other["confirmation_code"]
        page = await run.http.get(asked["url"], headers={"Authorization": ""})
        assert page.status_code == 200 and ACCOUNT not in page.text and connection["id"] not in page.text

        shown = (await run.http.get(urlsplit(asked["url"]).path, headers=AS_JSON)).raise_for_status().json()
        assert (shown["found"], shown["provider"]) == (True, "instagram")
        nobody = await run.http.get(urlsplit(other["url"]).path, headers=AS_JSON)
        assert (nobody.json()["found"], nobody.json()["state"]) == (False, "done")
