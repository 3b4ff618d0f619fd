"""Meta's limits: each row of the table is broken by one publication, and by nothing at its edge."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db import Doc
from app.models.publications import Kind, Network
from app.services.publications import counting
from app.services.publications.limit_checks import CHECKS
from app.services.publications.limits import LIMITS, Broken, Limit, broken_limits, limit_of
from app.services.publications.renditions import rendition_of
from tests.api.publishing_harness import a_video, an_image

Case = tuple[Doc, list[Doc]]
"""What to change of a good publication, and its assets where they are others."""


def good(kind: Kind) -> Case:
    """A publication of this kind that breaks nothing, and its assets."""
    assets = {
        "image": [an_image("lbl_1")],
        "carousel": [an_image("lbl_1"), a_video("lbl_1")],
        "reel": [a_video("lbl_1")],
        "story": [a_video("lbl_1")],
        "page_post": [an_image("lbl_1")],
    }[kind]
    empty = ("first_comment", "location_id", "cover", "share_to_feed", "audio_name", "link")
    publication: Doc = {"kind": kind, "caption": "" if kind == "story" else "Out on Friday.", "alt_texts": {}}
    return publication | {"user_tags": [], "collaborators": []} | dict.fromkeys(empty), assets


def broken(kind: Kind, network: Network, changes: Doc, assets: list[Doc] | None = None) -> list[Broken]:
    """What such a publication breaks."""
    publication, own = good(kind)
    shown = own if assets is None else assets
    ids = {"assets": [one["_id"] for one in shown]}
    cover = [an_image("lbl_1", _id="ast_cover")]
    return broken_limits(
        publication | ids | changes, {"network": network}, {one["_id"]: one for one in [*shown, *cover]}
    )


def shown(kind: Kind, make: Callable[..., Doc], **changes: Any) -> Case:
    """Other assets: as many as the kind wants, the last one made so."""
    others = [an_image("lbl_1")] if kind == "carousel" else []
    return {}, [*others, make("lbl_1", **changes)]


def picture(kind: Kind, **changes: Any) -> Case:
    """Another picture, of which the only rendition is so."""
    made = an_image("lbl_1")
    made["renditions"][0] |= changes
    return {}, [*([an_image("lbl_1")] if kind == "carousel" else []), made]


def probed(kind: Kind, **video: Any) -> Case:
    """Another video, of which this was probed."""
    return shown(kind, a_video, video=video)


def tags(kind: Kind, count: int, **where: Any) -> Case:
    """So many people tagged in the first asset, which is a picture where the kind takes one."""
    made = an_image("lbl_1") if kind != "reel" else a_video("lbl_1")
    more = [an_image("lbl_1")] if kind == "carousel" else []
    return {"user_tags": [{"username": f"u{n}", "asset_id": None, "x": 0.5, "y": 0.5} | where for n in range(count)]}, [
        made,
        *more,
    ]


def over(limit: Limit, kind: Kind) -> list[Case]:
    """Publications that break just this limit."""
    most: Any = limit.value
    given: dict[str, Callable[[], list[Case]]] = {
        "kind_not_supported": lambda: [({}, good(kind)[1])],
        "wrong_asset_count": lambda: [
            ({}, [an_image("lbl_1") for _ in range(count)])
            for count in (most[0] - 1, most[1] + 1)
            if count >= 0 and (kind != "reel" or count == 0)
        ],
        "caption_too_long": lambda: [({"caption": "x" * (most + 1)}, good(kind)[1])],
        "too_many_hashtags": lambda: [({"caption": "#ab " * (most + 1)}, good(kind)[1])],
        "too_many_mentions": lambda: [({"caption": "@ab " * (most + 1)}, good(kind)[1])],
        "first_comment_too_long": lambda: [({"first_comment": "x" * (most + 1)}, good(kind)[1])],
        "alt_text_too_long": lambda: [({"alt_texts": {"ast_other": "x" * (most + 1)}}, good(kind)[1])],
        "alt_text_on_video": lambda: [({"alt_texts": {(two := good(kind)[1])[1]["_id"]: "A band"}}, two)],
        "too_many_collaborators": lambda: [({"collaborators": [f"u{n}" for n in range(most + 1)]}, good(kind)[1])],
        "too_many_user_tags": lambda: [tags(kind, most + 1)],
        "user_tag_needs_position": lambda: [tags(kind, 1, x=None), tags(kind, 1, y=None)],
        "user_tag_on_video": lambda: [
            ({"user_tags": [{"username": "a", "asset_id": (two := good(kind)[1])[1]["_id"], "x": 0.5, "y": 0.5}]}, two)
        ],
        "wrong_asset_kind": lambda: [({}, [a_video("lbl_1") if kind == "image" else an_image("lbl_1")])],
        "wrong_cover_kind": lambda: [({"cover": {"asset_id": (own := good(kind)[1])[0]["_id"]}}, own)],
        "cover_outside_video": lambda: [({"cover": {"offset_ms": 20_000}}, good(kind)[1])],
        "image_format": lambda: [picture(kind, content_type="image/png")],
        "image_too_large": lambda: [picture(kind, bytes=most + 1)],
        "image_ratio": lambda: [picture(kind, width=790, height=1000), picture(kind, width=1920, height=1000)],
        "video_container": lambda: [probed(kind, container="matroska")],
        "video_not_streamable": lambda: [probed(kind, moov_first=False)],
        "video_codec": lambda: [probed(kind, video_codec="vp9")],
        "video_chroma": lambda: [probed(kind, chroma="4:2:2")],
        "video_interlaced": lambda: [probed(kind, interlaced=True)],
        "audio_codec": lambda: [probed(kind, audio_codec="mp3")],
        "audio_rate": lambda: [probed(kind, audio_rate=most + 1)],
        "audio_channels": lambda: [probed(kind, audio_channels=6)],
        "video_fps": lambda: [probed(kind, fps=most[0] - 1), probed(kind, fps=most[1] + 1)],
        "video_too_wide": lambda: [shown(kind, a_video, width=most + 1)],
        "video_ratio": lambda: [
            shown(kind, a_video, width=1900, height=180),
            shown(kind, a_video, width=9, height=1000),
        ],
        "video_bitrate": lambda: [probed(kind, bitrate=most + 1)],
        "video_length": lambda: [
            shown(kind, a_video, seconds=most[0] - 0.1),
            shown(kind, a_video, seconds=most[1] + 0.1),
        ],
        "video_too_large": lambda: [shown(kind, a_video, bytes=most + 1)],
        "mixed_assets": lambda: [({}, [an_image("lbl_1"), a_video("lbl_1")])],
        "link_with_assets": lambda: [({"link": "https://example.com"}, good(kind)[1])],
        "empty_post": lambda: [({"caption": " \n"}, [])],
    }
    fields: Doc = {"caption": "x", "first_comment": "x", "alt_text": {"ast_other": "x"}, "collaborators": ["a"]}
    fields |= {"cover": {"offset_ms": 1}, "share_to_feed": False, "audio_name": "x", "link": "https://example.com"}
    fields |= {"user_tags": [{"username": "a"}], "location_id": "1"}
    if limit.code.endswith("_not_taken"):
        name = limit.code.removesuffix("_not_taken")
        assets = [] if name == "link" and limit.network == "facebook" else good(kind)[1]
        return [({"alt_texts" if name == "alt_text" else name: fields[name]}, assets)]
    if limit.code == "cover_too_large":
        return []  # has a test of its own, for its asset is beside those that are shown
    return given[limit.code]()


ROWS = [(limit, kind) for limit in LIMITS for kind in sorted(limit.kinds)]


@pytest.mark.parametrize(("limit", "kind"), ROWS, ids=lambda found: getattr(found, "code", found))
def test_each_limit(limit: Limit, kind: Kind) -> None:
    """What is over it breaks it and nothing else; the answer has its value, its source and a place."""
    for changes, assets in over(limit, kind):
        found = broken(kind, limit.network, changes, assets)
        assert {one.code for one in found} == {limit.code}, (changes, found)
        assert all(one.pointer.startswith("/") and one.source and one.detail for one in found)
        assert {(one.limit, one.version) for one in found} == {(limit.value, "v26.0")}


def test_the_cover_has_a_size() -> None:
    """A cover's own picture counts, not those that are shown."""
    publication, assets = good("reel")
    cover = an_image("lbl_1")
    publication |= {"assets": [assets[0]["_id"]], "cover": {"asset_id": cover["_id"]}}
    known = {one["_id"]: one for one in (*assets, cover)}
    assert broken_limits(publication, {"network": "instagram"}, known) == []
    cover["renditions"][0]["bytes"] = 8_000_001
    assert [one.code for one in broken_limits(publication, {"network": "instagram"}, known)] == ["cover_too_large"]


@pytest.mark.parametrize("kind", ["image", "carousel", "reel", "story"])
def test_a_good_one_breaks_nothing(kind: Kind) -> None:
    """On its own network."""
    assert broken(kind, "instagram", {}) == []


def test_a_good_post_breaks_nothing() -> None:
    """Of text, of pictures, of one video, of a link."""
    for changes, assets in (
        ({}, []),
        ({"caption": ""}, [an_image("lbl_1") for _ in range(10)]),
        ({"caption": ""}, [a_video("lbl_1")]),
        ({"caption": "", "link": "https://example.com/album"}, []),
    ):
        assert broken("page_post", "facebook", changes, assets) == []


EDGES: list[tuple[Kind, Doc, list[Doc] | None]] = [
    ("image", {"caption": "x" * 2200}, None),
    ("image", {"caption": "#a " * 30 + "@b " * 20}, None),
    ("image", {"collaborators": ["a", "b", "c"]}, None),
    ("image", {}, [an_image("lbl_1", width=1080, height=1350)]),
    ("image", {}, [an_image("lbl_1", width=1080, height=566)]),
    ("carousel", {}, [an_image("lbl_1") for _ in range(10)]),
    ("reel", {}, [a_video("lbl_1", seconds=3)]),
    ("reel", {}, [a_video("lbl_1", seconds=900)]),
    ("reel", {}, [a_video("lbl_1", video={"audio_codec": None, "audio_rate": None, "audio_channels": None})]),
    ("reel", {}, [a_video("lbl_1", video={"fps": 60.03, "chroma": "4:2:0", "interlaced": False})]),
    ("story", {}, [a_video("lbl_1", seconds=60)]),
    ("story", {"user_tags": [{"username": "a"}]}, [an_image("lbl_1", width=1080, height=1920)]),
]


@pytest.mark.parametrize(("kind", "changes", "assets"), EDGES)
def test_at_the_edge_it_is_taken(kind: Kind, changes: Doc, assets: list[Doc] | None) -> None:
    """Meta's figures are the last that it takes."""
    assert broken(kind, "instagram", changes, assets) == []


def test_every_check_has_a_row() -> None:
    """A check that no limit uses, or a limit twice in one place, is a mistake."""
    assert {limit.code for limit in LIMITS} == set(CHECKS)
    places = [(limit.code, limit.network, kind) for limit, kind in ROWS]
    assert len(places) == len(set(places))
    assert limit_of("caption_too_long", "instagram", "reel").value == 2200
    with pytest.raises(LookupError):
        limit_of("caption_too_long", "instagram", "story")


@pytest.mark.parametrize(
    ("text", "hashtags", "mentions"),
    [
        ("#a#b #c", 3, 0),
        ("C# and a # alone", 0, 0),
        ("https://example.com/#part &#39;", 0, 0),
        ("#один #音楽 #🎵 ＃全角", 4, 0),
        ("mail me@example.com, ask @nightjar.records and (@b)", 0, 2),
        ("@@a ＠b @ c", 0, 2),
        ("##a", 0, 0),
        ("#2027 #a_b", 2, 0),
    ],
)
def test_counts(text: str, hashtags: int, mentions: int) -> None:
    """As an app shows them."""
    assert (counting.hashtags(text), counting.mentions(text)) == (hashtags, mentions)


@given(st.text(max_size=200))
def test_any_text_can_be_counted(text: str) -> None:
    """Whatever it holds; and no text has more hashtags or mentions than characters."""
    assert 0 <= counting.hashtags(text) + counting.mentions(text) <= counting.characters(text)
    assert counting.wide_characters(text) >= counting.characters(text)


def test_the_feed_gets_a_crop() -> None:
    """A picture that is too tall or too wide for the feed is shown as the crop that is nearest, where there is one."""
    crop = {"name": "4:5", "content_type": "image/jpeg", "bytes": 1, "width": 1080, "height": 1350}
    square = crop | {"name": "1:1", "height": 1080}
    tall = an_image("lbl_1", width=1080, height=1920)
    tall["renditions"] += [square, crop]
    assert [(rendition_of(kind, tall) or {})["name"] for kind in ("image", "carousel", "story", "page_post")] == [
        "4:5",
        "4:5",
        "original",
        "original",
    ]
    assert broken("image", "instagram", {}, [tall]) == []
