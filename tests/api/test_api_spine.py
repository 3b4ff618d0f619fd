"""The main job, in one piece: a fan writes, the label reads it and answers."""

from tests.house import House


async def test_a_fan_writes_and_is_answered(connected_house: House) -> None:
    """From the signed webhook to the sandbox's ledger."""
    house = connected_house
    owner = await house.person()
    label_id = await house.label(owner)
    connection = await house.connect(owner, label_id)
    assert connection["account"]["username"] == "nightjar.records"
    await house.fan_writes("mara", "When is the vinyl back?")
    inbox = (await owner.get(f"/v1/labels/{label_id}/conversations")).json()["data"]
    assert [(found["unread_count"], found["status"]) for found in inbox] == [(1, "open")]
    path = f"/v1/labels/{label_id}/conversations/{inbox[0]['id']}/messages"
    assert [found["text"] for found in (await owner.get(path)).json()["data"]] == ["When is the vinyl back?"]
    answer = await owner.post(path, json={"text": "On Friday."})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    await house.work()
    messages = (await owner.get(path)).json()["data"]
    assert [(found["direction"], found["state"], found["text"]) for found in messages] == [
        ("out", "sent", "On Friday."),
        ("in", None, "When is the vinyl back?"),
    ]
