"""What a worker needs to act for a connection: the store, the providers, the vault, and the time."""

import asyncio
from dataclasses import dataclass, field

from app.clients.credentials import Opened
from app.clients.facebook import Facebook
from app.clients.google_analytics import Analytics
from app.clients.graph import Graph
from app.clients.objects import Objects
from app.clients.spotify import Spotify
from app.clients.stripe_api import Stripe
from app.clock import Clock
from app.db import Database, Doc
from app.derived_keys import derive
from app.models.features import UsedFor
from app.services.audit import Audit
from app.services.backups.journal import KEY as JOURNAL_KEY
from app.services.backups.journal import Journal
from app.services.billing.entitlements import Meter
from app.services.vault.opening import open_secret
from app.services.vault.private_ring import PrivateRing
from app.services.vault.ring import PublicRing
from app.settings import WorkerSettings


@dataclass(frozen=True)
class Hands:
    """A worker's hands. Only workers have them: they open what the vault holds."""

    db: Database
    settings: WorkerSettings
    graph: Graph
    facebook: Facebook
    spotify: Spotify
    stripe: Stripe | None
    """None where billing is off."""
    ring: PublicRing
    private_ring: PrivateRing = field(repr=False)
    audit: Audit
    objects: Objects
    analytics: Analytics | None
    """None where usage is not passed on."""
    decoding: asyncio.Semaphore
    """Held by whoever has an uploaded file read."""
    exporting: asyncio.Semaphore
    """Held by whoever makes an export."""
    clock: Clock

    @property
    def journal(self) -> Journal:
        """What must stay undone when a backup is restored."""
        return Journal(self.objects, derive(self.settings, JOURNAL_KEY))

    @property
    def meter(self) -> Meter:
        """What labels may make, by their plans."""
        return Meter(self.db, self.settings.billing_on)

    async def open(self, connection: Doc, purpose: str, *, used_for: UsedFor, job: str) -> Opened:
        """Open a secret of the connection. Raises `NotAllowed`, `NoSecret`, `SealBroken`."""
        return await open_secret(
            self.db,
            self.private_ring,
            connection=connection,
            purpose=purpose,
            used_for=used_for,
            job=job,
            now=self.clock(),
        )
