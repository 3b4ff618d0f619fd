"""How each limit is checked. A check gives every place where it is broken, and what was found there."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.db import Doc
from app.services.publications import counting
from app.services.publications.renditions import ratio, rendition_of, within

Found = Iterator[tuple[str, Any]]
Check = Callable[[Mapping[str, Any], Any, Mapping[str, Doc]], Found]
CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "quicktime": "mov", "qt": "mov"}
"""What probing tools call those that Meta takes."""


def _always(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    yield "/kind", pub["kind"]


def _not_taken(field: str) -> Check:
    stored = "alt_texts" if field == "alt_text" else field

    def check(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
        if pub.get(stored) or (pub.get(stored) is not None and isinstance(pub.get(stored), bool)):
            yield f"/{stored}", "there"

    return check


def _counted(field: str, count: Callable[[str], int]) -> Check:
    def check(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
        if (found := count(pub.get(field) or "")) > value:
            yield f"/{field}", found

    return check


def _asset_count(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    if not value[0] <= (found := len(pub["assets"])) <= value[1]:
        yield "/assets", found


def _asset_kind(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    for pointer, asset in _used(pub, assets):
        if asset["kind"] not in value:
            yield pointer, asset["kind"]


def _alt_text_length(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    for place, text in enumerate(pub["alt_texts"].values()):
        if (found := counting.characters(text)) > value:
            yield f"/alt_texts/{place}/text", found


def _alt_text_on_video(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    for place, asset_id in enumerate(pub["alt_texts"]):
        if asset_id in assets and assets[asset_id]["kind"] == "video":
            yield f"/alt_texts/{place}", "video"


def _collaborators(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    if (found := len(pub["collaborators"])) > value:
        yield "/collaborators", found


def _tagged_in(pub: Mapping[str, Any], tag: Doc) -> str | None:
    return tag.get("asset_id") or (pub["assets"][0] if pub["assets"] else None)


def _tags_an_asset(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    places = [_tagged_in(pub, tag) for tag in pub["user_tags"]]
    if places and (found := max(places.count(one) for one in set(places))) > value:
        yield "/user_tags", found


def _tag_position(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    for place, tag in enumerate(pub["user_tags"]):
        asset = assets.get(_tagged_in(pub, tag) or "")
        if (asset is None or asset["kind"] == "image") and (tag.get("x") is None or tag.get("y") is None):
            yield f"/user_tags/{place}", "nothing"


def _tag_on_video(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    for place, tag in enumerate(pub["user_tags"]):
        asset = assets.get(_tagged_in(pub, tag) or "")
        if asset is not None and asset["kind"] == "video":
            yield f"/user_tags/{place}", "video"


def _cover(check: Callable[[Doc, Any], Iterator[Any]]) -> Check:
    def checked(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
        asset = assets.get((pub.get("cover") or {}).get("asset_id") or "")
        for found in check(asset, value) if asset is not None else ():
            yield "/cover/asset_id", found

    return checked


def _cover_kind(asset: Doc, value: Any) -> Iterator[Any]:
    if asset["kind"] not in value:
        yield asset["kind"]


def _cover_bytes(asset: Doc, value: Any) -> Iterator[Any]:
    picture = rendition_of("reel", asset) if asset["kind"] == "image" else None
    if picture is not None and picture["bytes"] > value:
        yield picture["bytes"]


def _cover_offset(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    offset = (pub.get("cover") or {}).get("offset_ms")
    for _, asset in _used(pub, assets):
        if offset is not None and asset.get("duration_ms") is not None and offset >= asset["duration_ms"]:
            yield "/cover/offset_ms", offset


def _of_images(read: Callable[[Doc], Any], fits: Callable[[Any, Any], bool]) -> Check:
    """A check of the rendition that would be shown of each picture."""

    def check(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
        for pointer, asset in _used(pub, assets):
            picture = rendition_of(pub["kind"], asset) if asset["kind"] == "image" else None
            if picture is not None and not fits(found := read(picture), value):
                yield pointer, found

    return check


def _of_videos(read: Callable[[Doc], Any], fits: Callable[[Any, Any], bool]) -> Check:
    """A check of each video. What is not known of it breaks nothing."""

    def check(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
        for pointer, asset in _used(pub, assets):
            found = read(asset) if asset["kind"] == "video" else None
            if found is not None and not fits(found, value):
                yield pointer, found

    return check


def _probed(name: str) -> Callable[[Doc], Any]:
    return lambda asset: (asset.get("video") or {}).get(name)


def _container(asset: Doc) -> Any:
    named = _probed("container")(asset)
    return CONTAINERS.get(named, named)


def _lines(asset: Doc) -> Any:
    interlaced = _probed("interlaced")(asset)
    return interlaced if interlaced is None else "interlaced" if interlaced else "progressive"


def _whole_fps(asset: Doc) -> Any:
    """Without the little by which clocks differ: telephones write 60.03, where 60 was meant."""
    fps = _probed("fps")(asset)
    return None if fps is None else round(fps)


def _seconds(asset: Doc) -> Any:
    return asset["duration_ms"] / 1000 if asset.get("duration_ms") is not None else None


def _at_most(found: Any, value: Any) -> bool:
    return bool(found <= value)


def _between(found: Any, value: Any) -> bool:
    return bool(value[0] <= found <= value[1])


def _one_of(found: Any, value: Any) -> bool:
    return str(found).lower() in value


def _mixed(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    kinds = [asset["kind"] for _, asset in _used(pub, assets)]
    if "video" in kinds and len(kinds) > value:
        yield "/assets", len(kinds)


def _link_with_assets(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    if pub.get("link") and pub["assets"]:
        yield "/link", "both"


def _empty(pub: Mapping[str, Any], value: Any, assets: Mapping[str, Doc]) -> Found:
    if not (pub["caption"].strip() or pub.get("link") or pub["assets"]):
        yield "/caption", "nothing"


def _used(pub: Mapping[str, Any], assets: Mapping[str, Doc]) -> Iterator[tuple[str, Doc]]:
    for place, asset_id in enumerate(pub["assets"]):
        if asset_id in assets:
            yield f"/assets/{place}", assets[asset_id]


FIELDS = (
    "caption",
    "first_comment",
    "alt_text",
    "collaborators",
    "cover",
    "share_to_feed",
    "audio_name",
    "link",
    "user_tags",
    "location_id",
)
CHECKS: dict[str, Check] = {
    "kind_not_supported": _always,
    **{f"{field}_not_taken": _not_taken(field) for field in FIELDS},
    "wrong_asset_count": _asset_count,
    "caption_too_long": _counted("caption", counting.characters),
    "too_many_hashtags": _counted("caption", counting.hashtags),
    "too_many_mentions": _counted("caption", counting.mentions),
    "alt_text_too_long": _alt_text_length,
    "alt_text_on_video": _alt_text_on_video,
    "first_comment_too_long": _counted("first_comment", counting.characters),
    "too_many_collaborators": _collaborators,
    "too_many_user_tags": _tags_an_asset,
    "user_tag_needs_position": _tag_position,
    "user_tag_on_video": _tag_on_video,
    "wrong_asset_kind": _asset_kind,
    "wrong_cover_kind": _cover(_cover_kind),
    "cover_too_large": _cover(_cover_bytes),
    "cover_outside_video": _cover_offset,
    "image_format": _of_images(lambda one: one["content_type"], _one_of),
    "image_too_large": _of_images(lambda one: one["bytes"], _at_most),
    "image_ratio": _of_images(lambda one: round(ratio(one), 3), lambda found, value: within(found, value)),
    "video_container": _of_videos(_container, _one_of),
    "video_not_streamable": _of_videos(_probed("moov_first"), lambda found, _: bool(found)),
    "video_codec": _of_videos(_probed("video_codec"), _one_of),
    "audio_codec": _of_videos(_probed("audio_codec"), _one_of),
    "audio_rate": _of_videos(_probed("audio_rate"), _at_most),
    "audio_channels": _of_videos(_probed("audio_channels"), _between),
    "video_chroma": _of_videos(_probed("chroma"), _one_of),
    "video_interlaced": _of_videos(_lines, _one_of),
    "video_fps": _of_videos(_whole_fps, _between),
    "video_too_wide": _of_videos(lambda asset: asset.get("width"), _at_most),
    "video_ratio": _of_videos(lambda asset: round(ratio(asset), 3) or None, _between),
    "video_bitrate": _of_videos(_probed("bitrate"), _at_most),
    "video_length": _of_videos(_seconds, _between),
    "video_too_large": _of_videos(lambda asset: asset.get("bytes"), _at_most),
    "mixed_assets": _mixed,
    "link_with_assets": _link_with_assets,
    "empty_post": _empty,
}
"""By the limit's code."""
