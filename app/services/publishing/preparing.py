"""Preparing a post at the network, near its time: its items, then the whole, then waiting until it can be shown.

Nothing of it is visible. What a lost answer or a dead worker leaves there is never shown, and ends by itself.
"""

import time
from datetime import timedelta

from app.clients import instagram_publishing as instagram
from app.clients import page_publishing as page
from app.clients.graph_call import At
from app.clients.graph_publishing import Prepared
from app.db import Doc
from app.services import faults
from app.services.operations import WAITING, TryAgain
from app.services.publishing.material import part_of, words_of
from app.services.publishing.trouble import begin_anew
from app.services.publishing.work import Work

LONGEST_S = 8.0
"""After so much of a turn no further call that makes something is begun: it would outlast the worker's lease."""
GAPS_S = (1, 2, 4, 8, 15, 30, 60, 120, 300)
"""How long to wait before each further look; the last one from then on (meta-platform.md, section 5.1)."""


async def prepare(work: Work, at: At, assets: dict[str, Doc]) -> Prepared:
    """How it is, once the post can be shown, or is: by a call that was executed later than anybody waited, or by hand.

    Raises `TryAgain` while it is neither, and what the calls raise.
    """
    began_s = time.monotonic()
    if work.target["container"] is None:
        await _make(work, at, assets, began_s)
    prepared = await look(work, at)
    if prepared.status in ("error", "expired"):
        await begin_anew(work, prepared.status)
    if prepared.status == "in_progress":
        await _wait(work)
    if prepared.status == "finished" and work.target["state"] != "ready":
        await work.move("ready", step="ready")
        await faults.reach("publish_after_ready")
    return prepared


async def look(work: Work, at: At) -> Prepared:
    """How what was prepared is."""
    return await look_at(work, at, str(work.target["container"]["provider_id"]))


async def look_at(work: Work, at: At, own_id: str) -> Prepared:
    """How this one is."""
    if work.target["network"] == "facebook":
        return await page.look(at, own_id)
    return await instagram.look(at, own_id)


async def _make(work: Work, at: At, assets: dict[str, Doc], began_s: float) -> None:
    network = page if work.target["network"] == "facebook" else instagram
    if work.target["state"] == "waiting":
        await work.move("containers", step="containers", outcome="begun")
    parts = [await part_of(work, assets[one]) for one in work.snapshot["assets"]]
    in_items = work.snapshot["kind"] == "carousel" or (network is page and bool(parts) and not parts[0].is_video)
    if in_items:
        for number in range(len(work.target["containers"]), len(parts)):
            if time.monotonic() - began_s > LONGEST_S:
                raise TryAgain(work.now, WAITING)
            await faults.reach("publish_before_container")
            item_id = await network.make_item(at, parts[number])
            await faults.reach("publish_after_container")
            made = {"asset_id": work.snapshot["assets"][number], "provider_id": item_id, "made_at": work.now}
            await work.write({"containers": [*work.target["containers"], made]}, step="item")
    items = [str(one["provider_id"]) for one in work.target["containers"]] if in_items else []
    if in_items and network is instagram:
        await _wait_for_items(work, at, items)
    if time.monotonic() - began_s > LONGEST_S:
        raise TryAgain(work.now, WAITING)
    await faults.reach("publish_before_container")
    own_id = await network.make(at, await words_of(work, assets), parts, items)
    await faults.reach("publish_after_container")
    made = {"provider_id": own_id, "made_at": work.now}
    await work.write({"container": made, "looks": 0}, step="container")


async def _wait_for_items(work: Work, at: At, items: list[str]) -> None:
    for item_id in items:
        prepared = await instagram.look(at, item_id)
        if prepared.status in ("error", "expired"):
            await begin_anew(work, f"item {prepared.status}")
        if prepared.status == "in_progress":
            await _wait(work)


async def _wait(work: Work) -> None:
    """Come back a little later each time. Raises `TryAgain`."""
    looks = work.target.get("looks", 0)
    if work.target["state"] == "processing":
        await work.write({"looks": looks + 1})
    else:
        await work.move("processing", {"looks": looks + 1}, step="processing")
    raise TryAgain(work.now + timedelta(seconds=GAPS_S[min(looks, len(GAPS_S) - 1)]), WAITING)
