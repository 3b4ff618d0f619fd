"""The operator's command for Meta's list of fans whose accounts it has deleted (meta-platform.md, section 1.6)."""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.db import Doc
from app.deleted_fans import Listed, erase, main, read
from app.services.audit import Audit, By
from app.services.inbox import deleted_fans
from tests.house import ACCOUNT, House, delivery, message_change
from tools.child import ROOT

GONE, STAYS, SECOND = "900000000000011", "900000000000022", "17841400000000002"
OF_FANS = ("conversations", "messages", "comments", "parked_changes")


async def everything(house: House) -> dict[str, list[Doc]]:
    """What is stored of fans."""
    names = (*OF_FANS, "webhook_inbox")
    return {name: await house.db.open(name).find({}, comment="all-labels: a test looks").to_list() for name in names}


def comment_of(fan: str, number: int, account: str, ms: int) -> Doc:
    """A delivery of one comment."""
    value = {"id": f"1790000000{number}", "from": {"id": fan, "username": "a.fan"}, "text": "Hi", "media": {"id": "18"}}
    return {
        "object": "instagram",
        "entry": [{"id": account, "time": ms, "changes": [{"field": "comments", "value": value}]}],
    }


async def two_labels(house: House) -> list[str]:
    """With an account each, to which both fans have written, commented and sent what we do not know."""
    owner = await house.person()
    labels = [await house.label(owner, slug) for slug in ("nightjar", "merle")]
    for label, account in zip(labels, (ACCOUNT, SECOND), strict=True):
        await house.connection(label, account)
        for fan in (GONE, STAYS):
            ms = house.ms(timedelta(minutes=5))
            items = [
                message_change(f"mid-{account[-2:]}-{fan[-2:]}-{n}", ms=ms, fan=fan, account=account) for n in range(3)
            ]
            odd = {"sender": {"id": fan}, "recipient": {"id": account}, "timestamp": ms, "never_seen": {"x": 1}}
            for body in (delivery(*items, odd, account=account), comment_of(fan, int(fan[-2:]), account, ms)):
                assert (await house.deliver(body)).status_code == 200
    await house.work()
    return labels


async def test_all_of_a_fan_goes_everywhere(house: House) -> None:
    """In both labels, what waits to be taken in too; of the other fan everything stays. First it is only counted."""
    labels = await two_labels(house)
    late = message_change("mid-late", ms=house.ms(), fan=GONE)
    body = delivery(late, message_change("mid-late-2", ms=house.ms(), fan=STAYS))
    assert (await house.deliver(body)).status_code == 200
    before = await everything(house)
    counts = {name: len([doc for doc in docs if GONE in str(doc)]) for name, docs in before.items()}
    assert counts == {"conversations": 2, "messages": 0, "comments": 2, "parked_changes": 2, "webhook_inbox": 1}
    listed = Listed([GONE, "800000000000001"], 0)
    status, told = await erase(house.db, house.api.audit, listed, apply=False)
    line = "in 2 labels: conversations 2, messages 6, notes 0, comments 2, parked_changes 2, webhook_inbox 1"
    assert status == 0 and f"To be erased, {line}." in told and await everything(house) == before
    status, told = await erase(house.db, house.api.audit, listed, apply=True)
    assert status == 0 and f"Erased, {line}." in told and GONE not in told
    after = await everything(house)
    assert GONE not in str(after)
    assert {name: len(after[name]) for name in OF_FANS} == {name: len(before[name]) // 2 for name in OF_FANS}
    for label in labels:
        rows = await house.db.open("audit_log").find({"label_id": label, "action": "fan.erased_by_list"}).to_list()
        assert GONE not in str(rows) and {"conversations": "1", "messages": "3", "notes": "0"} in [
            row["details"] for row in rows
        ]
    assert (
        "labels: conversations 0, messages 0, notes 0, comments 0, parked_changes 0, webhook_inbox 0"
        in ((await erase(house.db, house.api.audit, listed, apply=True))[1])
    )
    await house.work()
    again = await everything(house)
    assert GONE not in str(again) and len(again["messages"]) == len(after["messages"]) + 1
    await house.deliver(delivery(late))  # Meta delivers once more what was erased while it waited
    await house.work()
    assert GONE not in str(await everything(house))


async def test_what_waits_to_be_sent_is_not_sent(house: House) -> None:
    """A reply to a fan who is gone ends as cancelled."""
    owner = await house.person()
    label = await house.label(owner)
    await house.connection(label)
    await house.receive(message_change("mid-1", ms=house.ms(), fan=GONE))
    [conversation] = (await owner.get(f"/v1/labels/{label}/conversations")).json()["data"]
    path = f"/v1/labels/{label}/conversations/{conversation['id']}/messages"
    queued = (await owner.post(path, json={"text": "Hello"})).raise_for_status().json()
    await erase(house.db, house.api.audit, Listed([GONE], 0), apply=True)
    operation = await owner.get(f"/v1/operations/{queued['operation_id']}")
    assert operation.json()["state"] == "cancelled"
    assert [len(docs) for name, docs in (await everything(house)).items() if name in OF_FANS] == [0] * 4


class BrokenOff(Exception):
    """The command has died."""


@dataclass(frozen=True)
class OneRow(Audit):
    """An audit log whose process dies before its second row."""

    rows: list[str] = field(default_factory=list)

    async def record(self, by: By, action: str, **more: Any) -> None:
        """Once."""
        if self.rows:
            raise BrokenOff
        await super().record(by, action, **more)
        self.rows.append(action)


async def test_broken_off_and_begun_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of one, broken off after each: what is left is done by the next, and each is audited once."""
    monkeypatch.setattr(deleted_fans, "FANS_AT_ONCE", 1)
    monkeypatch.setattr(deleted_fans, "DOCUMENTS_AT_ONCE", 1)
    await two_labels(house)
    listed, runs = Listed([GONE, STAYS], 0), 0

    while True:
        runs += 1
        try:
            await erase(house.db, OneRow(house.db, house.api.audit.key), listed, apply=True)
        except BrokenOff:
            continue
        break
    left = await everything(house)
    assert [len(left[name]) for name in OF_FANS] == [0] * 4
    rows = (
        await house.db.open("audit_log").find({"action": "fan.erased_by_list"}, comment="all-labels: a test").to_list()
    )
    assert len(rows) == 12 and runs >= 12
    assert sum(int(row["details"].get("messages", "0")) for row in rows) == 12


def test_the_file() -> None:
    """An id a line or CSV; comments and empty lines are skipped, other lines counted, each id is there once."""
    plain = [
        "# Meta's list\n",
        "\n",
        f"{GONE}\r\n",
        f" {STAYS} \n",
        f"{GONE}\n",
        "abc\n",
        "12\n",
        "9" * 41,
        "-5\n",
        "1e15\n",
    ]
    assert read(plain) == Listed([GONE, STAYS], 5)
    assert read(["name,id\n", f"x,{GONE}\n", f"{STAYS}\n", 'y,"' + STAYS + '"\n']) == Listed([GONE, STAYS], 1)
    assert read([f"{GONE},deleted\n"]) == Listed([GONE], 0)
    assert read(["٩٠٠٠٠٠٠٠٠\n"]) == Listed([], 1)
    assert read([]) == Listed([], 0)


async def test_the_command_runs(house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a shell, with the settings of the API; and explains itself to who does not know it."""
    await two_labels(house)
    (tmp_path / "ids.csv").write_text(f"\ufeffid,at\n{GONE},2026-11-01\nnone\n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    told = {
        f"SOUNDOPS_{name.upper()}": value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in house.api.settings
        if value is not None
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.deleted_fans", str(tmp_path / "ids.csv"), "--apply"),
        cwd=ROOT,
        env=dict(os.environ) | told,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0 and b"1 ids; 1 lines hold none.\nErased, in 2 labels: conversations 2" in said
    for wrong in ([], ["--apply"], ["a", "b"], ["a", "--apply", "--apply"], ["--force"]):
        assert main(wrong) == 2
    assert [main([str(tmp_path / name)]) for name in ("odd", "missing")] == [1, 1]
    assert "python -m app.deleted_fans FILE" in capsys.readouterr().err
