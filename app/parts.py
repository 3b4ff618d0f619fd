"""What lives as long as the API process, opened once and handed to whoever needs it."""

from dataclasses import dataclass, field

from app.bell import Bell, open_bell, open_ear
from app.clients.objects import Objects
from app.clock import Clock
from app.db import Database
from app.derived_keys import derive
from app.limiter import Limiter, open_limiter
from app.models.policies import POLICIES, Policies
from app.services.assets.opening import open_objects
from app.services.audit import Audit
from app.services.backups import waiting
from app.services.backups.journal import KEY as JOURNAL_KEY
from app.services.backups.journal import Journal, Kind
from app.services.billing.entitlements import Meter
from app.services.consents import visitors
from app.services.exports import store
from app.services.marketing import links
from app.services.people.password_rules import PasswordRules
from app.services.people.passwords import Passwords
from app.services.promises.board import Board
from app.services.stream.hub import Hub
from app.services.tokens import Signer, load_signer
from app.services.vault.account_ring import AccountRing, load_account_ring
from app.services.vault.ring import PublicRing
from app.services.vault.rings import open_public_ring
from app.services.webhooks.intake import Intake
from app.services.webhooks.signed_request import Family
from app.settings import ApiSettings


@dataclass
class Parts:
    """The API's parts. Its one private ring is for people's own secrets: nothing here can open a provider's token."""

    settings: ApiSettings
    db: Database
    bell: Bell
    clock: Clock
    ring: PublicRing
    account_ring: AccountRing
    signer: Signer
    passwords: Passwords
    password_rules: PasswordRules
    limiter: Limiter
    intake: Intake
    audit: Audit
    streams: Hub
    objects: Objects
    promises: Board
    webhook_secrets: list[bytes] = field(repr=False)
    app_secrets: dict[Family, list[bytes]] = field(repr=False)
    dedupe_key: bytes = field(repr=False)
    callback_key: bytes = field(repr=False)
    cursor_key: bytes = field(repr=False)
    idempotency_key: bytes = field(repr=False)
    export_key: bytes = field(repr=False)
    journal_key: bytes = field(repr=False)
    device_key: bytes = field(repr=False)
    visitor_key: bytes = field(repr=False)
    link_key: bytes = field(repr=False)
    policies: Policies = POLICIES
    stopping: bool = False

    @property
    def journal(self) -> Journal:
        """What must stay undone when a backup is restored."""
        return Journal(self.objects, self.journal_key)

    @property
    def meter(self) -> Meter:
        """What labels may make, by their plans."""
        return Meter(self.db, self.settings.billing_on)

    async def note_outside(self, kind: Kind, thing_id: str, what: str = "") -> None:
        """Note in the journal what has just been done. Where the storage is away it is done all the same, and noted
        later."""
        await waiting.note(self.db, self.journal, self.journal.entry_of(kind, thing_id, what=what, now=self.clock()))

    async def close(self) -> None:
        """Close everything."""
        await self.streams.close()
        self.passwords.close()
        await self.limiter.close()
        await self.bell.close()
        await self.ring.close()
        await self.objects.close()
        self.db.close()


def open_parts(settings: ApiSettings, *, clock: Clock, db: Database | None = None) -> Parts:
    """Open the parts. Raises `BadRing`, `OSError` or `ValueError` with a sentence about a key file."""
    db = db or Database(settings.mongodb_url.get_secret_value())
    bell = open_bell(settings.redis_url.get_secret_value())
    db.placed = bell.ring_stream
    return Parts(
        settings=settings,
        db=db,
        bell=bell,
        clock=clock,
        ring=open_public_ring(settings),
        account_ring=load_account_ring(settings.vault_account_ring_file),
        signer=load_signer(settings.jwt_key_file, issuer=settings.public_url, other=settings.jwt_other_key_file),
        passwords=Passwords(),
        password_rules=PasswordRules.load(settings.password_blocklist_file),
        limiter=open_limiter(settings, clock=clock),
        intake=Intake(db, bell.ring_drain),
        webhook_secrets=[secret.encode() for secret in settings.webhook_secrets],
        audit=Audit(db, derive(settings, "audit")),
        streams=Hub(db, lambda: open_ear(settings.redis_url.get_secret_value())),
        objects=open_objects(settings),
        promises=Board(db),
        app_secrets={
            family: [secret.encode() for secret in secrets] for family, secrets in settings.app_secrets.items()
        },
        dedupe_key=derive(settings, "webhook dedupe"),
        callback_key=derive(settings, "meta callbacks"),
        cursor_key=derive(settings, "cursor"),
        idempotency_key=derive(settings, "idempotency"),
        export_key=derive(settings, store.OVER_KEY),
        journal_key=derive(settings, JOURNAL_KEY),
        device_key=derive(settings, "known devices"),
        visitor_key=derive(settings, visitors.PURPOSE),
        link_key=derive(settings, links.PURPOSE),
    )
