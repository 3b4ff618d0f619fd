"""What the product does with data, as activities: the data map's collections, and who else receives something of them.

A collection belongs to one activity; a test says so. The record of processing (GDPR, article 30) and the diagram are
made from this.
"""

from dataclasses import dataclass

from app.models.collection import Collection
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


@dataclass(frozen=True)
class Activity:
    """One activity of processing."""

    id: str
    name: str
    collections: tuple[Collection, ...]
    sources: tuple[str, ...]
    """Whom the data come from: `people`, `fans`, or recipients of `app/models/stores.py` that tell us something."""
    recipients: tuple[str, ...]
    """Who else gets something, beside who runs the machines."""
    measures: str
    of_labels: bool = False
    """Whether labels decide about it, and we process it for them (GDPR, article 30.2); else it is ours (30.1)."""


HOSTS = ("mongodb_atlas", "aws", "vercel")
"""Who runs machines that everything passes or lies on, where they are not our own."""
ACTIVITIES = (
    Activity(
        "accounts",
        "Accounts, labels and their teams",
        people.COLLECTIONS,
        ("people",),
        ("mail_server", "partners"),
        "Passwords as Argon2id hashes, second factors, shortened network addresses, an audit log that shows changes",
    ),
    Activity(
        "connections",
        "Connected accounts and their tokens",
        connections.COLLECTIONS,
        ("people", "meta", "spotify"),
        ("meta", "spotify"),
        "Tokens sealed with AES-256-GCM, which workers alone open; every opening is written down",
    ),
    Activity(
        "inbox",
        "Messages, comments and rules",
        (*inbox.COLLECTIONS, *rules.COLLECTIONS),
        ("fans", "meta"),
        ("meta", "partners"),
        "Deleted 30 days after Meta's own time, by two sweepers; words in one place; access by role",
        of_labels=True,
    ),
    Activity(
        "insights",
        "Figures of accounts and posts",
        insights.COLLECTIONS,
        ("meta",),
        ("partners",),
        "Sums without people; deleted after 24 months",
    ),
    Activity(
        "publishing",
        "Files, plans and posts",
        (*assets.COLLECTIONS, *publications.COLLECTIONS, *publishing.COLLECTIONS),
        ("people",),
        ("meta", "partners"),
        "Pictures and videos written anew, without where and by whom they were made; signed links that end",
    ),
    Activity(
        "billing",
        "Plans, payments and records of money",
        (*billing.COLLECTIONS, *billing_orders.COLLECTIONS),
        ("people", "stripe"),
        ("stripe",),
        "Cards at Stripe alone; records under a pseudonym once the label is gone",
    ),
    Activity(
        "consents",
        "Consents, usage and marketing mail",
        consents.COLLECTIONS,
        ("people",),
        ("mail_server", "google_analytics"),
        "Only after a consent that is cited; no addresses; summed up without people before 24 months are over",
    ),
    Activity(
        "privacy",
        "Requests about one's own data, exports, and promises",
        (*privacy.COLLECTIONS, *promises.COLLECTIONS, *exports.COLLECTIONS),
        ("people",),
        (),
        "Due dates and evidence by ids and codes; sealed files for one person; daily signed attestations",
    ),
    Activity(
        "running",
        "Running the service",
        (*work.COLLECTIONS, *service.COLLECTIONS),
        (),
        (),
        "Ids and codes alone; ends by itself",
    ),
)
