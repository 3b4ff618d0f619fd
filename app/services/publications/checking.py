"""Whether a publication can go out as it is: what would be refused, and what is odd, per target."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.db import Database, Doc, Session
from app.errors import FieldError, InvalidInput
from app.publication_errors import PublicationInvalid
from app.services.assets import reading
from app.services.connections import store
from app.services.publications import counting
from app.services.publications.alike import Alike, alike
from app.services.publications.limits import OURS, VERSION, Broken, broken_limits, limit_of
from app.services.publications.renditions import as_frozen, frozen, ratio

REELS_TAB_S = (5, 90)
NETWORKS = ("instagram", "facebook")
MOST_TOLD = 50
MOST_OF_A_PLAN = 100
"""Publications: all of them move together."""


@dataclass(frozen=True)
class Warned:
    """Something that is not refused, and may not be meant."""

    pointer: str
    code: str
    detail: str
    publication_id: str | None = None


@dataclass
class TargetCheck:
    """What is wrong or odd at one target."""

    connection_id: str
    network: str | None
    problems: list[Broken] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)


@dataclass
class Checked:
    """What is wrong or odd at each target."""

    targets: list[TargetCheck]

    @property
    def valid(self) -> bool:
        """Whether nothing would be refused."""
        return not any(target.problems for target in self.targets)

    @property
    def warnings(self) -> list[Warned]:
        """Each oddity once."""
        return list(dict.fromkeys(one for target in self.targets for one in target.warnings))

    def need_valid(self) -> None:
        """Raise `PublicationInvalid`, naming each trouble once."""
        found = dict.fromkeys((one.pointer, f"{one.detail} ({one.code})") for t in self.targets for one in t.problems)
        if found:
            raise PublicationInvalid(errors=tuple(FieldError(*one) for one in list(found)[:MOST_TOLD]))


async def check(db: Database, label_id: str, publication: Mapping[str, Any], *, now: datetime) -> Checked:
    """Ask everything that is asked before a publication goes out, of its content as it is; nothing is written."""
    assets = as_frozen(publication, await reading.many(db, label_id, asset_ids(publication)))
    query: Doc = {"label_id": label_id, "_id": {"$in": list(publication["targets"])}}
    connections = {one["_id"]: one async for one in db.open("connections").find(query)}
    others = await alike(db, label_id, publication, at=publication.get("scheduled_at") or now)
    ready = {key: asset for key, asset in assets.items() if asset["state"] == "ready"}
    of_all = [*_asset_troubles(publication, assets), *_plan_troubles(publication)]
    found = []
    for place, connection_id in enumerate(publication["targets"]):
        connection = connections.get(connection_id)
        target = TargetCheck(connection_id, connection["network"] if connection else None, list(of_all))
        target.problems += _connection_troubles(connection, f"/targets/{place}")
        if connection and connection["network"]:
            target.problems += broken_limits(publication, connection, ready)
            target.warnings += _warnings(publication, connection, ready)
        target.warnings += [_told(one) for one in others if one.connection_id == connection_id]
        found.append(target)
    return Checked(found)


def counts(publication: Mapping[str, Any]) -> dict[str, int]:
    """What Meta counts in its caption."""
    text = publication["caption"]
    told = (counting.characters(text), counting.hashtags(text), counting.mentions(text))
    return dict(zip(("characters", "hashtags", "mentions"), told, strict=True))


def asset_ids(publication: Mapping[str, Any]) -> list[str]:
    """Every asset that it needs: what it shows, and its cover."""
    cover = (publication.get("cover") or {}).get("asset_id")
    return [*publication["assets"], *([cover] if cover else [])]


async def hold_files(db: Database, publication: Doc, *, now: datetime, session: Session) -> Doc:
    """Hold its files, and add what it keeps of them as they are: from then on it shows nothing else, until it is
    changed. Raises `AssetNotFound`, `AssetNotReady`."""
    held = await reading.use(db, publication["label_id"], asset_ids(publication), now=now, session=session)
    return {"shown": publication.get("shown") or frozen(publication["kind"], held)}


async def check_references(
    db: Database, label_id: str, changes: Mapping[str, Any], publication: Mapping[str, Any], *, session: Session | None
) -> None:
    """Raise `InvalidInput` where `changes` name what the label does not have, or the publication will not."""
    wrong = [one async for one in _wrong_references(db, label_id, changes)]
    plan_id = changes.get("plan_id")
    if plan_id and plan_id != publication.get("plan_id"):
        wrong += await _plan_refused(db, {"label_id": label_id}, plan_id, session)
    shown = {**publication, **changes}["assets"]
    for name in ("alt_texts", "user_tags"):
        for place, asset_id in enumerate(_assets_in(changes.get(name) or ())):
            if asset_id is not None and asset_id not in shown:
                wrong.append(FieldError(f"/{name}/{place}/asset_id", "must be one of the publication's assets"))
    if wrong:
        raise InvalidInput(errors=tuple(wrong))


def _assets_in(told: Any) -> list[str | None]:
    return list(told) if isinstance(told, Mapping) else [one.get("asset_id") for one in told]


async def _wrong_references(db: Database, label_id: str, changes: Mapping[str, Any]) -> Any:
    ids = list(changes.get("targets") or ())
    query = {"label_id": label_id, "_id": {"$in": ids}}
    known = {one["_id"] async for one in db.open("connections").find(query) if one["network"] in NETWORKS}
    for place, one in enumerate(ids):
        if one not in known:
            yield FieldError(f"/targets/{place}", "must be a connected Instagram or Facebook account of the label's")
    cover = (changes.get("cover") or {}).get("asset_id")
    wanted = list(changes.get("assets") or ())
    there = await reading.many(db, label_id, [*wanted, *([cover] if cover else [])])
    for place, one in enumerate(wanted):
        if one not in there:
            yield FieldError(f"/assets/{place}", "must be an asset of the label's")
    if cover and cover not in there:
        yield FieldError("/cover/asset_id", "must be an asset of the label's")


async def _plan_refused(db: Database, of_label: Doc, plan_id: str, session: Session | None) -> list[FieldError]:
    if not await db.open("release_plans").find_one(of_label | {"_id": plan_id}, {"_id": 1}, session=session):
        return [FieldError("/plan_id", "must be a release plan of the label's")]
    if await db.open("publications").count_documents(of_label | {"plan_id": plan_id}, session=session) < MOST_OF_A_PLAN:
        return []
    return [FieldError("/plan_id", f"must be a plan of fewer than {MOST_OF_A_PLAN} publications")]


def _asset_troubles(publication: Mapping[str, Any], assets: Mapping[str, Doc]) -> Iterator[Broken]:
    places = [(f"/assets/{n}", one) for n, one in enumerate(publication["assets"])]
    cover = (publication.get("cover") or {}).get("asset_id")
    for pointer, asset_id in [*places, *([("/cover/asset_id", cover)] if cover else [])]:
        if asset_id not in assets:
            yield _ours(pointer, "asset_not_found", "the label has no such asset")
        elif assets[asset_id]["state"] != "ready":
            yield _ours(pointer, "asset_not_ready", f"the asset is {assets[asset_id]['state']}")


def _plan_troubles(publication: Mapping[str, Any]) -> Iterator[Broken]:
    if publication["reveals_release"] and not publication["plan_id"]:
        yield _ours("/plan_id", "plan_missing", "it reveals a release, and no plan says until when it may not")


def _connection_troubles(connection: Doc | None, pointer: str) -> Iterator[Broken]:
    if connection is None or not connection["network"]:
        yield _ours(pointer, "connection_not_found", "the label has no such account")
    elif not store.is_usable(connection, "publishing"):
        detail = "the account is not connected, or publishing is off or not granted"
        yield _ours(pointer, "connection_not_active", detail)


def _ours(pointer: str, code: str, detail: str) -> Broken:
    return Broken(pointer, code, detail, None, OURS, VERSION)


def _warnings(publication: Mapping[str, Any], connection: Doc, assets: Mapping[str, Doc]) -> Iterator[Warned]:
    if (connection["network"], publication["kind"]) == ("instagram", "page_post"):
        return
    if publication["kind"] == "reel":
        for place, asset_id in enumerate(publication["assets"]):
            video = assets.get(asset_id)
            if video and video["kind"] == "video" and not _for_reels_tab(video):
                detail = "the Reels tab wants 9:16 and 5 to 90 seconds; it is published, and shown less"
                yield Warned(f"/assets/{place}", "not_in_reels_tab", detail)
    try:
        most = limit_of("caption_too_long", connection["network"], publication["kind"]).value
    except LookupError:
        return
    text = publication["caption"]
    if isinstance(most, int) and counting.characters(text) <= most < counting.wide_characters(text):
        yield Warned("/caption", "caption_may_be_too_long", "counted with its emoji as two characters, it is too long")


def _for_reels_tab(video: Doc) -> bool:
    seconds = (video.get("duration_ms") or 0) / 1000
    return REELS_TAB_S[0] <= seconds <= REELS_TAB_S[1] and abs(ratio(video) - 9 / 16) < 0.01


def _told(one: Alike) -> Warned:
    what = "the same words" if one.pointer == "/caption" else "one of these assets"
    return Warned(one.pointer, "duplicate_content", f"{what} to the same account within 30 days", one.publication_id)
