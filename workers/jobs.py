"""What workers do: thin functions around services. Jobs carry ids only; rung twice, a thing is done once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prometheus_client import Counter
from pymongo.errors import PyMongoError

from app.bell import Bell
from app.clients.facebook import Facebook
from app.clients.google_analytics import Analytics
from app.clients.graph import Graph
from app.clients.mail import Mailer
from app.clients.objects import Objects
from app.clients.spotify import Spotify
from app.clients.stripe_api import Stripe
from app.clock import Clock
from app.db import Database, Doc
from app.logs import get_logger
from app.models.operations import OperationKind
from app.models.policies import POLICIES, Policies
from app.services import events, heartbeat, operations, restore_mode
from app.services.assets.checking import check_asset
from app.services.assets.tidying import delete_asset, render_asset, tidy_asset
from app.services.audit import Audit
from app.services.billing.buying import billing_checkout, billing_details, billing_portal
from app.services.billing.changing import billing_change, billing_preview
from app.services.billing.looking import sync
from app.services.billing.reconciling import reconcile
from app.services.comments.acting import act
from app.services.comments.checking import check_comments
from app.services.comments.switching import switch_comments
from app.services.connections.backfilling import backfill
from app.services.connections.checking import check_connection
from app.services.connections.choosing import choose_accounts
from app.services.connections.disconnecting import disconnect
from app.services.connections.exchange import exchange
from app.services.connections.hands import Hands
from app.services.connections.refreshing import refresh
from app.services.connections.syncing import sync_webhooks
from app.services.exports.making import make_export
from app.services.inbox import tending
from app.services.inbox.drain import drain_batch
from app.services.inbox.profiles import fetch_profile
from app.services.inbox.reacting import SIGNS, react, show_sign
from app.services.inbox.sending import send_reply
from app.services.insights.looking import read_insights
from app.services.labels.deleting import delete_label
from app.services.mail.sending import send_mail
from app.services.marketing.campaigns import send_campaign
from app.services.marketing.permits import campaigning
from app.services.operations import GiveUp, InDoubt, TryAgain
from app.services.privacy import fan_tombstones
from app.services.privacy.erasing import erase_person, look_for_erased
from app.services.privacy.fan_erasing import erase_fan
from app.services.publishing.deletion_working import clear_prepared, delete_post
from app.services.publishing.ending import given_up
from app.services.publishing.quota_reading import read_quota
from app.services.publishing.working import publish
from app.services.usage.forgetting import forget_usage
from app.services.usage.forwarding import forward_usage
from app.services.usage.summing import sum_usage
from app.services.vault.private_ring import PrivateRing
from app.services.vault.ring import PublicRing, RingUnavailable
from app.settings import WorkerSettings

log = get_logger(__name__)
DUE_AT_ONCE = 200
OPERATIONS_AT_ONCE = 20
OF_CONNECTIONS: dict[str, Callable[[Hands, Doc], Awaitable[Doc]]] = {
    "disconnect": disconnect,
    "exchange_code": exchange,
    "choose_accounts": choose_accounts,
    "refresh_token": refresh,
    "check_connection": check_connection,
    "sync_webhooks": sync_webhooks,
    "fetch_profile": fetch_profile,
    "send_reply": send_reply,
    "react": react,
    **dict.fromkeys(SIGNS, show_sign),
    "backfill": backfill,
    "comment_action": act,
    "switch_comments": switch_comments,
    "check_comments": check_comments,
    "read_insights": read_insights,
    "publish": publish,
    "delete_post": delete_post,
    "clear_prepared": clear_prepared,
    "read_quota": read_quota,
}
"""What is done with connections' tokens, by the kind of operation."""
OF_ASSETS: dict[str, Callable[[Hands, Doc], Awaitable[Doc]]] = {
    "check_asset": check_asset,
    "render_asset": render_asset,
    "tidy_asset": tidy_asset,
    "delete_asset": delete_asset,
}
"""What is done with the label's files."""
OF_BILLING: dict[str, Callable[[Hands, Doc], Awaitable[Doc]]] = {
    "billing_checkout": billing_checkout,
    "billing_portal": billing_portal,
    "billing_preview": billing_preview,
    "billing_change": billing_change,
    "billing_details": billing_details,
    "billing_sync": sync,
    "billing_reconcile": reconcile,
}
"""What Stripe is asked to do, or is asked about."""
OF_PEOPLE: dict[str, Callable[[Hands, Doc], Awaitable[Doc]]] = {
    "erase_person": erase_person,
    "look_for_erased": look_for_erased,
    "erase_fan": erase_fan,
    "forget_usage": forget_usage,
    "forward_usage": forward_usage,
    "sum_usage": sum_usage,
    "send_campaign": send_campaign,
    "export_person": make_export,
    "export_label": make_export,
}
"""What people ask of us about their own data and labels about theirs, and what follows from consents."""
RING_RETRY = timedelta(seconds=15)
MOST_CRASHES = 20
"""So often an operation may end by an error that nobody expected; what such an error says is ours to mend (R-47)."""
CRASH_RETRY, LONGEST_CRASH_RETRY = timedelta(seconds=5), timedelta(hours=1)
NEVER_GIVEN_UP: frozenset[OperationKind] = frozenset(("disconnect", "erase_person", "erase_fan"))
"""As long as it is not done, something is here that should not be."""
OPERATIONS = Counter("operations_total", "Operations by what became of them", ["kind", "state"])


@dataclass
class Parts:
    """What lives as long as a worker."""

    worker_id: str
    settings: WorkerSettings
    db: Database
    bell: Bell
    graph: Graph
    facebook: Facebook
    spotify: Spotify
    stripe: Stripe | None
    mailer: Mailer
    rings: tuple[PublicRing, PrivateRing]
    audit: Audit
    objects: Objects
    analytics: Analytics | None
    clock: Clock
    policies: Policies = POLICIES
    rung: asyncio.Event = field(default_factory=asyncio.Event)
    billed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when Stripe has told something."""
    placed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when this process has added events that rules may look at."""
    draining: asyncio.Lock = field(default_factory=asyncio.Lock)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPERATIONS_AT_ONCE))
    decoding: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    exporting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    running: set[str] = field(default_factory=set)
    begun: set[asyncio.Task[None]] = field(default_factory=set)
    stopping: bool = False

    @property
    def hands(self) -> Hands:
        """What services act with."""
        return Hands(
            db=self.db,
            settings=self.settings,
            graph=self.graph,
            facebook=self.facebook,
            spotify=self.spotify,
            stripe=self.stripe,
            ring=self.rings[0],
            private_ring=self.rings[1],
            audit=self.audit,
            objects=self.objects,
            analytics=self.analytics,
            decoding=self.decoding,
            exporting=self.exporting,
            clock=self.clock,
        )


async def drain_inbox(ctx: dict[str, Any]) -> None:
    """Somebody rang: have the drain look now. Its loop is its own, so that no job's time-out cuts it off."""
    parts: Parts = ctx["parts"]
    parts.rung.set()


async def look_at_billing(ctx: dict[str, Any]) -> None:
    """Somebody rang: Stripe has told something."""
    parts: Parts = ctx["parts"]
    parts.billed.set()


async def drain_waiting(parts: Parts) -> None:
    """Work off everything that waits in the webhook inbox."""
    async with parts.draining:
        key = fan_tombstones.key_of(parts.settings)
        while not parts.stopping and await drain_batch(parts.db, now=parts.clock(), key=key):
            pass


async def tend_conversations(parts: Parts) -> None:
    """Do what has become due on conversations by the time alone."""
    for operation_id in await tending.tend(parts.db, now=parts.clock()):
        await parts.bell.ring(operation_id)


async def run_operation(ctx: dict[str, Any], operation_id: str) -> None:
    """Do one operation if it is still there to do. It never raises: arq would log the exception's text."""
    await _logged(ctx["parts"], operation_id)


async def _run_once(parts: Parts, operation_id: str) -> None:
    if operation_id in parts.running or parts.stopping:
        return
    parts.running.add(operation_id)
    try:
        async with parts.room:
            await _run(parts, operation_id)
    finally:
        parts.running.discard(operation_id)


async def _run(parts: Parts, operation_id: str) -> None:
    db, lease = parts.db, timedelta(seconds=parts.settings.lease_s)
    if await _is_held_back(db, operation_id):
        return
    operation = await operations.claim(db, operation_id, lease=lease, now=parts.clock())
    if operation is None:
        return
    try:
        async with asyncio.timeout(operations.longest_run(operation["kind"], lease).total_seconds()):
            result = await _do(parts, operation)
    except TryAgain as later:
        await operations.postpone(db, operation, until=later.at, reason=later.reason, now=parts.clock())
    except RingUnavailable as away:
        log.warning("operation put off: the key ring is away", operation=operation_id, reason=str(away))
        later_on = parts.clock() + RING_RETRY
        await operations.postpone(db, operation, until=later_on, reason="key_ring_away", now=parts.clock())
    except GiveUp as end:
        await operations.fail(db, operation, code=end.code, detail=end.detail, now=parts.clock())
        OPERATIONS.labels(operation["kind"], "failed").inc()
        log.warning("operation failed", operation=operation_id, kind=operation["kind"], problem=end.code)
    except InDoubt as doubt:
        await operations.leave_in_doubt(db, operation, reason=doubt.reason, look_at=doubt.look_at, now=parts.clock())
        OPERATIONS.labels(operation["kind"], "unknown").inc()
        log.warning("operation in doubt", operation=operation_id, kind=operation["kind"])
    except PyMongoError:  # the store is away: taken over when the lease ends
        raise
    except Exception:  # an operation's edge: the others go on
        log.exception("operation broken off", operation=operation_id, kind=operation["kind"])
        await _broken_off(parts, operation)
    else:
        await operations.succeed(db, operation, result=result, now=parts.clock())
        OPERATIONS.labels(operation["kind"], "succeeded").inc()
    following = await operations.next_in_queue(db, operation)
    if following:
        await parts.bell.ring(following)


async def _is_held_back(db: Database, operation_id: str) -> bool:
    """Whether it must wait until somebody ends restore mode: it stays due."""
    allowed = await restore_mode.held_back(db)
    if allowed is None:
        return False
    operation = await operations.find_anywhere(db, operation_id)
    return operation is not None and operation["kind"] not in allowed


async def _broken_off(parts: Parts, operation: Doc) -> None:
    """Have it tried again, later each time; after `MOST_CRASHES` it has failed, and a person may retry it."""
    crashes = operation.get("crashes", 0) + 1
    if crashes < MOST_CRASHES or operation["kind"] in NEVER_GIVEN_UP:
        wait = min(CRASH_RETRY * 2 ** min(crashes - 1, 12), LONGEST_CRASH_RETRY)
        await operations.note_crash(parts.db, operation, again_at=parts.clock() + wait, now=parts.clock())
        return
    log.error("operation given up", operation=operation["_id"], kind=operation["kind"], crashes=crashes)
    detail = "It met an error of ours again and again. It can be retried once that is mended."
    if await given_up(parts.db, operation, detail=detail, now=parts.clock()) or operation["state"] == "unknown":
        await operations.leave_in_doubt(parts.db, operation, reason=detail, look_at=None, now=parts.clock())
        return
    await operations.fail(parts.db, operation, code="internal_error", detail=detail, now=parts.clock())
    OPERATIONS.labels(operation["kind"], "failed").inc()


async def _do(parts: Parts, operation: Doc) -> Doc:
    if operation["kind"] in OF_CONNECTIONS:
        return await OF_CONNECTIONS[operation["kind"]](parts.hands, operation)
    if operation["kind"] in OF_ASSETS:
        return await OF_ASSETS[operation["kind"]](parts.hands, operation)
    if operation["kind"] in OF_BILLING:
        return await OF_BILLING[operation["kind"]](parts.hands, operation)
    if operation["kind"] in OF_PEOPLE:
        return await OF_PEOPLE[operation["kind"]](parts.hands, operation)
    if operation["kind"] == "delete_label":
        return await delete_label(parts.hands, operation)
    if operation["kind"] == "send_mail":
        told: Doc = {"app_url": parts.settings.app_url, "mail_from": parts.settings.mail_from}
        told |= {"campaigning": campaigning(parts.settings)}
        return await send_mail(parts.db, parts.mailer, operation, **told, clock=parts.clock)
    raise GiveUp("unknown_kind", "This worker does not know this kind of operation.")


async def beat(ctx: dict[str, Any]) -> None:
    """Show that this worker takes jobs from the queue: the job came through Redis."""
    parts: Parts = ctx["parts"]
    try:
        await heartbeat.beat(parts.db, parts.worker_id, key_ids=parts.rings[1].key_ids(), now=parts.clock())
    except PyMongoError as exc:
        log.warning("no heartbeat: the store is away", reason=type(exc).__name__)


async def start_due(parts: Parts) -> list[asyncio.Task[None]]:
    """The sweep: begin what is due, whether or not anybody rang. What fails is taken over when its lease ends."""
    await events.place_abandoned(parts.db)
    only = await restore_mode.held_back(parts.db)
    due = await operations.due(parts.db, now=parts.clock(), limit=DUE_AT_ONCE, only=only)
    begun = [asyncio.create_task(_logged(parts, one)) for one in due if one not in parts.running]
    parts.begun |= set(begun)
    for task in begun:
        task.add_done_callback(parts.begun.discard)
    return begun


async def _logged(parts: Parts, operation_id: str) -> None:
    try:
        await _run_once(parts, operation_id)
    except PyMongoError as exc:
        log.warning("operation broken off: the store is away", operation=operation_id, reason=type(exc).__name__)
    except Exception:  # an operation's edge: the others go on
        log.exception("operation broken off", operation=operation_id)
