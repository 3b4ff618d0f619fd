"""The data map: every collection, declared once.

Indexes and TTLs are made from it and compared with it at start; the export, the erasure, the retention page and the
record of processing are generated from it. A collection that is not here cannot be opened.
"""

from datetime import timedelta

from app.models.collection import EXPIRES
from app.models.collection import Collection as Collection
from app.models.collection import Index as Index
from app.models.collection import Part as Part
from app.models.mapped import (
    assets,
    billing,
    billing_orders,
    connections,
    consents,
    exports,
    inbox,
    insights,
    people,
    privacy,
    promises,
    publications,
    publishing,
    rules,
    service,
    work,
)

CONTENT_LIFE = timedelta(days=30)
"""Messages and comments are kept this long after Meta's own time (privacy policy, sections 5 and 6)."""
DEDUPE_LIFE = timedelta(days=36)
"""Longer than `CONTENT_LIFE`: a replayed webhook is recognised until its content could not be stored any more."""
INSIGHTS_LIFE = timedelta(days=730)
"""Figures are kept so long after their day: 24 months at most (privacy policy, section 6)."""
_COLLECTIONS = (
    *people.COLLECTIONS,
    *consents.COLLECTIONS,
    *connections.COLLECTIONS,
    *inbox.COLLECTIONS,
    *rules.COLLECTIONS,
    *insights.COLLECTIONS,
    *assets.COLLECTIONS,
    *publications.COLLECTIONS,
    *publishing.COLLECTIONS,
    *billing.COLLECTIONS,
    *billing_orders.COLLECTIONS,
    *privacy.COLLECTIONS,
    *exports.COLLECTIONS,
    *work.COLLECTIONS,
    *service.COLLECTIONS,
    *promises.COLLECTIONS,
)

DATA_MAP = {collection.name: collection for collection in _COLLECTIONS}
"""By name."""
EXPIRING = tuple(c.name for c in _COLLECTIONS if EXPIRES in c.indexes)
"""The collections whose documents carry their end as `expires_at`."""
