"""What Meta takes: one table of its limits per network and kind, and which of them a publication would break.

Pure: whoever validates a draft, who schedules it, and the engine right before it calls ask the same function.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from app.db import Doc
from app.models.publications import Kind, Network
from app.services.publications.limit_checks import CHECKS

VERSION = "v26.0"
"""The version of the Graph API whose pages the values are from."""
PARAMETERS = "Meta, Instagram Platform, reference: IG User media, parameters"
MEDIA = "Meta, Instagram Platform, reference: IG User media, specifications"
FLOW = "Meta, Instagram Platform, guide: Content publishing"
ERRORS = "Meta, Instagram Platform, reference: Error codes"
PAGES = "Meta, Pages API, guide: Posts"
APPS = "what Meta's own apps take; its API names none"
OURS = "SoundOps: what its publisher can do"
Unit = Literal["characters", "count", "bytes", "ratio", "seconds", "pixels", "fps", "bits/s", "Hz", "one of", "field"]
Value = int | float | str | tuple[float, float] | tuple[str, ...] | None


@dataclass(frozen=True)
class Limit:
    """One limit. `value` is the most that is taken, both ends of a range, or the words that are; none where there is
    nothing to count."""

    code: str
    network: Network
    kinds: frozenset[Kind]
    value: Value
    unit: Unit
    says: str
    """What is wrong when it is broken: `{value}`, and `{found}` for what was there."""
    source: str
    version: str = VERSION


@dataclass(frozen=True)
class Broken:
    """A limit that would be broken: where in the publication, and by what."""

    pointer: str
    code: str
    detail: str
    limit: Value
    source: str
    version: str


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


ALL = _kinds(*get_args(Kind))
INSTAGRAM = ALL - {"page_post"}
FEED = _kinds("image", "carousel", "reel")
STORY, REEL, IMAGE, CAROUSEL, POST = (_kinds(k) for k in ("story", "reel", "image", "carousel", "page_post"))
VIDEOS = _kinds("reel", "carousel")
PICTURES = _kinds("image", "carousel")
NOT_TAKEN = "is not taken for this kind"
NONE_IN_CAROUSEL = "is not taken on a video in a carousel"
_AT_MOST = "must have at most {value} characters, and has {found}"
_FIELDS: tuple[tuple[str, Network, frozenset[Kind], str], ...] = (
    ("caption", "instagram", STORY, FLOW),
    ("first_comment", "instagram", STORY, FLOW),
    ("alt_text", "instagram", _kinds("reel", "story"), PARAMETERS),
    ("collaborators", "instagram", STORY, PARAMETERS),
    ("cover", "instagram", _kinds("image", "carousel", "story"), PARAMETERS),
    ("share_to_feed", "instagram", INSTAGRAM - REEL, PARAMETERS),
    ("audio_name", "instagram", INSTAGRAM - REEL, PARAMETERS),
    ("link", "instagram", INSTAGRAM, FLOW),
    ("alt_text", "facebook", POST, OURS),
    ("collaborators", "facebook", POST, PAGES),
    ("user_tags", "facebook", POST, OURS),
    ("location_id", "facebook", POST, OURS),
    ("cover", "facebook", POST, OURS),
    ("share_to_feed", "facebook", POST, PAGES),
    ("audio_name", "facebook", POST, PAGES),
)
"""Fields that some kinds do not have."""
_COUNTS: tuple[tuple[Network, frozenset[Kind], tuple[float, float], str], ...] = (
    ("instagram", IMAGE | REEL | STORY, (1, 1), FLOW),
    ("instagram", CAROUSEL, (2, 10), ERRORS + ": 100/2207028"),
    ("facebook", POST, (0, 10), OURS),
)


LIMITS: tuple[Limit, ...] = (
    Limit(
        "kind_not_supported",
        "instagram",
        POST,
        ("image", "carousel", "reel", "story"),
        "one of",
        "Instagram takes {value}",
        FLOW,
    ),
    Limit("kind_not_supported", "facebook", INSTAGRAM, ("page_post",), "one of", "a Page takes {value} here", OURS),
    *(
        Limit(f"{name}_not_taken", network, kinds, None, "field", NOT_TAKEN, source)
        for name, network, kinds, source in _FIELDS
    ),
    *(
        Limit("wrong_asset_count", network, kinds, value, "count", "must be {value} assets, and are {found}", source)
        for network, kinds, value, source in _COUNTS
    ),
    Limit("caption_too_long", "instagram", FEED, 2200, "characters", _AT_MOST, PARAMETERS + "; 36004/2207010"),
    Limit(
        "too_many_hashtags",
        "instagram",
        FEED,
        30,
        "count",
        "must have at most {value} hashtags, and has {found}",
        PARAMETERS,
    ),
    Limit(
        "too_many_mentions",
        "instagram",
        FEED,
        20,
        "count",
        "must name at most {value} accounts, and names {found}",
        PARAMETERS,
    ),
    Limit("alt_text_too_long", "instagram", PICTURES, 1000, "characters", _AT_MOST, PARAMETERS),
    Limit("alt_text_on_video", "instagram", CAROUSEL, None, "field", "is only for pictures", PARAMETERS),
    Limit("first_comment_too_long", "instagram", FEED, 2200, "characters", _AT_MOST, APPS),
    Limit(
        "too_many_collaborators", "instagram", FEED, 3, "count", "must be at most {value}, and are {found}", PARAMETERS
    ),
    Limit(
        "too_many_user_tags",
        "instagram",
        INSTAGRAM,
        20,
        "count",
        "must be at most {value} an asset, and are {found}",
        PARAMETERS + "; 100/2207040",
    ),
    Limit(
        "user_tag_needs_position", "instagram", PICTURES, ("x", "y"), "one of", "needs x and y in a picture", PARAMETERS
    ),
    Limit("user_tag_on_video", "instagram", CAROUSEL, None, "field", NONE_IN_CAROUSEL, PARAMETERS),
    Limit("wrong_asset_kind", "instagram", IMAGE, ("image",), "one of", "must be {value}, and is {found}", FLOW),
    Limit("wrong_asset_kind", "instagram", REEL, ("video",), "one of", "must be {value}, and is {found}", FLOW),
    Limit("wrong_cover_kind", "instagram", REEL, ("image",), "one of", "must be {value}, and is {found}", MEDIA),
    Limit(
        "cover_too_large",
        "instagram",
        REEL,
        8_000_000,
        "bytes",
        "must have at most {value} bytes, and has {found}",
        MEDIA,
    ),
    Limit("cover_outside_video", "instagram", REEL, None, "seconds", "must be in the video", ERRORS + ": 1/2207057"),
    Limit(
        "image_format",
        "instagram",
        PICTURES | STORY,
        ("image/jpeg",),
        "one of",
        "must be {value}, and is {found}",
        MEDIA + "; 36001/2207005",
    ),
    Limit(
        "image_too_large",
        "instagram",
        PICTURES | STORY,
        8_000_000,
        "bytes",
        "must have at most {value} bytes, and has {found}",
        MEDIA + "; 36000/2207004",
    ),
    Limit(
        "image_ratio",
        "instagram",
        PICTURES,
        (0.8, 1.91),
        "ratio",
        "must have a ratio of {value}, and has {found}",
        MEDIA + "; 36003/2207009",
    ),
    Limit(
        "video_container",
        "instagram",
        VIDEOS | STORY,
        ("mp4", "mov"),
        "one of",
        "must be {value}, and is {found}",
        MEDIA + "; 352/2207026",
    ),
    Limit(
        "video_not_streamable",
        "instagram",
        VIDEOS | STORY,
        ("moov first",),
        "one of",
        "must have its index (moov) at its beginning",
        MEDIA,
    ),
    Limit(
        "video_codec",
        "instagram",
        VIDEOS | STORY,
        ("h264", "hevc"),
        "one of",
        "must be {value}, and is {found}",
        MEDIA + "; 352/2207026",
    ),
    Limit(
        "video_chroma",
        "instagram",
        VIDEOS | STORY,
        ("4:2:0",),
        "one of",
        "must store its colours as {value}, and stores them as {found}",
        MEDIA + "; 352/2207026",
    ),
    Limit(
        "video_interlaced",
        "instagram",
        VIDEOS | STORY,
        ("progressive",),
        "one of",
        "must be {value}, and is {found}",
        MEDIA + "; 352/2207026",
    ),
    Limit(
        "audio_codec",
        "instagram",
        VIDEOS | STORY,
        ("aac",),
        "one of",
        "must have its sound as {value}, and has {found}",
        MEDIA,
    ),
    Limit(
        "audio_rate",
        "instagram",
        VIDEOS | STORY,
        48_000,
        "Hz",
        "must have a sound of at most {value} Hz, and has {found}",
        MEDIA,
    ),
    Limit(
        "audio_channels",
        "instagram",
        VIDEOS | STORY,
        (1, 2),
        "count",
        "must have {value} channels, and has {found}",
        MEDIA,
    ),
    Limit(
        "video_fps",
        "instagram",
        VIDEOS | STORY,
        (23, 60),
        "fps",
        "must have {value} frames a second, and has {found}",
        MEDIA,
    ),
    Limit(
        "video_too_wide",
        "instagram",
        VIDEOS | STORY,
        1920,
        "pixels",
        "must be at most {value} pixels wide, and is {found}",
        MEDIA,
    ),
    Limit(
        "video_ratio",
        "instagram",
        VIDEOS | STORY,
        (0.01, 10),
        "ratio",
        "must have a ratio of {value}, and has {found}",
        MEDIA,
    ),
    Limit(
        "video_bitrate",
        "instagram",
        VIDEOS | STORY,
        25_000_000,
        "bits/s",
        "must have at most {value} bits a second, and has {found}",
        MEDIA,
    ),
    Limit(
        "video_length", "instagram", VIDEOS, (3, 900), "seconds", "must last {value} seconds, and lasts {found}", MEDIA
    ),
    Limit(
        "video_length", "instagram", STORY, (3, 60), "seconds", "must last {value} seconds, and lasts {found}", MEDIA
    ),
    Limit(
        "video_too_large",
        "instagram",
        VIDEOS,
        300_000_000,
        "bytes",
        "must have at most {value} bytes, and has {found}",
        MEDIA,
    ),
    Limit(
        "video_too_large",
        "instagram",
        STORY,
        100_000_000,
        "bytes",
        "must have at most {value} bytes, and has {found}",
        MEDIA,
    ),
    Limit("caption_too_long", "facebook", POST, 63_206, "characters", _AT_MOST, APPS),
    Limit("first_comment_too_long", "facebook", POST, 8_000, "characters", _AT_MOST, APPS),
    Limit(
        "image_too_large",
        "facebook",
        POST,
        4_000_000,
        "bytes",
        "must have at most {value} bytes, and has {found}",
        PAGES + "; 1366046",
    ),
    Limit("mixed_assets", "facebook", POST, 1, "count", "must be pictures alone, or {value} video alone", PAGES),
    Limit("link_with_assets", "facebook", POST, None, "field", "is not taken together with assets", PAGES),
    Limit("empty_post", "facebook", POST, None, "field", "needs a text, a link or an asset", PAGES),
)
"""Every limit there is. A field, a kind or a number that is not here, Meta takes as far as we know."""


def broken_limits(publication: Mapping[str, Any], target: Mapping[str, Any], assets: Mapping[str, Doc]) -> list[Broken]:
    """Which limits the publication would break at this target, `{network}`; `assets` are its own, by id.

    An asset that is not among them, or a figure of it that is not known, breaks none: that it is there and ready, the
    caller has seen to.
    """
    limits = [one for one in LIMITS if one.network == target["network"] and publication["kind"] in one.kinds]
    wrong_kind = [one for one in limits if one.code == "kind_not_supported"]
    return [broken for limit in wrong_kind or limits for broken in _broken(limit, publication, assets)]


def limit_of(code: str, network: Network, kind: Kind) -> Limit:
    """The limit of this code there. Raises `LookupError` where there is none."""
    for one in LIMITS:
        if (one.code, one.network) == (code, network) and kind in one.kinds:
            return one
    raise LookupError(code, network, kind)


def _broken(limit: Limit, publication: Mapping[str, Any], assets: Mapping[str, Doc]) -> Iterator[Broken]:
    for pointer, found in CHECKS[limit.code](publication, limit.value, assets):
        detail = limit.says.format(value=_told(limit.value), found=found)
        yield Broken(pointer, limit.code, detail, limit.value, limit.source, limit.version)


def _told(value: Value) -> str:
    if not isinstance(value, tuple):
        return str(value)
    if any(isinstance(one, str) for one in value):
        return " or ".join(map(str, value))
    return str(value[0]) if value[0] == value[1] else f"{value[0]} to {value[1]}"
