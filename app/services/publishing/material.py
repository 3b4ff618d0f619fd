"""What is given to a network: the words and, by links of a day, the pictures of what was scheduled."""

from app.clients.graph_publishing import Part, Words
from app.db import Doc
from app.models.publications import Kind
from app.services.assets import reading
from app.services.assets.links import link_for_provider
from app.services.publications.renditions import alt_text_of, as_frozen, rendition_of
from app.services.publishing.work import Work


async def assets_of(work: Work) -> dict[str, Doc]:
    """The assets of the publication that there are and that are ready, its cover among them; what is shown and said of
    them is what was approved."""
    wanted = [*work.snapshot["assets"], *([cover] if (cover := _cover_asset(work.snapshot)) else [])]
    found = await reading.many(work.db, work.target["label_id"], wanted)
    return as_frozen(work.snapshot, {key: asset for key, asset in found.items() if asset["state"] == "ready"})


def are_there(snapshot: Doc, assets: dict[str, Doc]) -> bool:
    """Whether none is missing."""
    cover = _cover_asset(snapshot)
    return all(one in assets for one in (*snapshot["assets"], *([cover] if cover else [])))


async def part_of(work: Work, asset: Doc) -> Part:
    """One picture or video, with who is tagged in it."""
    snapshot, is_video = work.snapshot, asset["kind"] == "video"
    tags = [one for one in snapshot["user_tags"] or [] if _tagged(snapshot, one) == asset["_id"]]
    return Part(
        url=await _link(work, snapshot["kind"], asset),
        is_video=is_video,
        alt_text=(snapshot["alt_texts"] or {}).get(asset["_id"]) or alt_text_of(snapshot["kind"], asset) or None,
        tags=tuple(_tag(one, placed=not is_video and snapshot["kind"] != "story") for one in tags),
    )


async def words_of(work: Work, assets: dict[str, Doc]) -> Words:
    """All but the pictures."""
    snapshot, cover = work.snapshot, work.snapshot.get("cover") or {}
    shown = assets.get(cover.get("asset_id") or "")
    return Words(
        kind=snapshot["kind"],
        caption=snapshot["caption"] or "",
        link=snapshot["link"],
        collaborators=tuple(snapshot["collaborators"] or ()),
        location_id=snapshot["location_id"],
        cover_url=await _link(work, snapshot["kind"], shown) if shown else None,
        cover_ms=cover.get("offset_ms"),
        share_to_feed=snapshot["share_to_feed"],
        audio_name=snapshot["audio_name"],
    )


async def _link(work: Work, kind: Kind, asset: Doc) -> str:
    rendition = rendition_of(kind, asset)
    name = rendition["name"] if rendition else "original"
    return await link_for_provider(work.hands.objects, asset, name, now=work.now)


def _cover_asset(snapshot: Doc) -> str | None:
    found: str | None = (snapshot.get("cover") or {}).get("asset_id")
    return found


def _tagged(snapshot: Doc, tag: Doc) -> str | None:
    return tag.get("asset_id") or (snapshot["assets"][0] if snapshot["assets"] else None)


def _tag(tag: Doc, *, placed: bool) -> Doc:
    return {"username": tag["username"]} | ({"x": tag["x"], "y": tag["y"]} if placed else {})
