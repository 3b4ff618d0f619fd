"""Exports of a label and of its owner: makers as those of `matrix_makers.py`."""

from app.ids import new_id
from tests.api.matrix_side import Side
from tests.house import House
from workers import jobs


async def make_exports(house: House, side: Side) -> list[str]:
    """Two of the label, and two of the owner's own: one of each was really made."""
    side.ids["my_export"] = await _make(house, side, "/v1/me/exports")
    for name in ("getMyExport", "downloadMyExport"):
        side.ids[f"{name}.export_id"] = side.ids["my_export"]
    return await _make(house, side, f"{side.path}/exports")


async def _make(house: House, side: Side, path: str) -> list[str]:
    asked = (await side.owner.post(path)).raise_for_status().json()
    await jobs.run_operation({"parts": house.worker}, asked["id"])
    label_id = side.label_id if side.path in path else None
    made = await house.db.open("exports").find_one({"label_id": label_id, "_id": asked["target"]})
    assert made is not None and made["state"] == "ready"
    another = made | {"_id": new_id("exp")}
    await house.db.open("exports").insert_one(another)
    return [made["_id"], another["_id"]]
