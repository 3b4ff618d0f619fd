"""The data map: every collection, declared once.

Indexes and TTLs are made from it and compared with it at start; the export, the erasure, the retention page and the
record of processing are generated from it. A collection that is not here cannot be opened.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

CONTENT_LIFE = timedelta(days=30)
"""Messages and comments are kept this long after Meta's own time (privacy policy, sections 5 and 6)."""
DEDUPE_LIFE = timedelta(days=36)
"""Longer than `CONTENT_LIFE`: a replayed webhook is recognised until its content could not be stored any more."""

Direction = Literal[1, -1]
Keys = tuple[tuple[str, Direction], ...]


@dataclass(frozen=True)
class Index:
    """One index. `ttl` deletes a document at the instant its field names."""

    keys: Keys
    unique: bool = False
    ttl: bool = False
    present: str | None = None
    """Only documents that have this field (a partial index)."""

    @property
    def name(self) -> str:
        """What MongoDB would call it."""
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)

    def definition(self) -> dict[str, Any]:
        """What `listIndexes` shows of it, less version and name."""
        shown: dict[str, Any] = {"key": dict(self.keys)}
        if self.unique:
            shown["unique"] = True
        if self.ttl:
            shown["expireAfterSeconds"] = 0
        if self.present:
            shown["partialFilterExpression"] = {self.present: {"$exists": True}}
        return shown


@dataclass(frozen=True)
class Collection:
    """One collection: what is in it, whose it is, how long it stays, and what a person's rights do to it."""

    name: str
    purpose: str
    tenant: bool
    """Whether its documents belong to a label: then every query names `label_id`, or says why it spans labels."""
    subject: Literal["fan", "team", "nobody"]
    """Whose personal data it is."""
    personal: Literal["content", "identity", "technical", "secret", "none"]
    retention: str
    ground: str
    """The legal ground of keeping it (GDPR, article 6)."""
    export: tuple[str, ...] = ()
    """The fields that an export shows its subject."""
    erasure: Literal["delete", "anonymise", "keep"] = "delete"
    indexes: tuple[Index, ...] = ()


def _up(*fields: str) -> Keys:
    return tuple((field, 1) for field in fields)


_CONTRACT = "contract (6.1.b)"
_INTEREST = "legitimate interest: a service that is safe and loses nothing (6.1.f)"
_THIRTY_DAYS = "30 days after Meta's own time"
_EXPIRES = Index(_up("expires_at"), ttl=True)

_COLLECTIONS = (
    Collection(
        name="users",
        purpose="Accounts of people who work with SoundOps.",
        tenant=False,
        subject="team",
        personal="identity",
        retention="until the account is deleted",
        ground=_CONTRACT,
        export=("name", "email", "email_verified_at", "policy_version", "marketing_opt_in", "created_at"),
        indexes=(Index(_up("email_key"), unique=True),),
    ),
    Collection(
        name="second_factors",
        purpose="Sealed seeds of authenticator apps, and hashes of recovery codes.",
        tenant=False,
        subject="team",
        personal="secret",
        retention="until the second factor is switched off",
        ground=_CONTRACT,
    ),
    Collection(
        name="single_use_tokens",
        purpose="Hashes of the tokens in mails that confirm, reset, invite and undo.",
        tenant=False,
        subject="team",
        personal="secret",
        retention="as long as the link works: an hour, or days",
        ground=_INTEREST,
        indexes=(Index(_up("subject", "purpose")), _EXPIRES),
    ),
    Collection(
        name="mails",
        purpose="Mails to send, and what became of them. A link's token is made when it is sent, and not kept.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="30 days",
        ground=_CONTRACT,
        export=("template", "to", "state", "created_at"),
        indexes=(Index(_up("label_id", "user_id")), _EXPIRES),
    ),
    Collection(
        name="sessions",
        purpose="Who is logged in.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="24 hours after it was used last, at most 30 days, or until log-out",
        ground=_CONTRACT,
        export=("created_at", "last_used_at", "network", "user_agent", "expires_at"),
        indexes=(Index(_up("user_id")), _EXPIRES),
    ),
    Collection(
        name="refresh_tokens",
        purpose="Hashes of refresh tokens, used ones too, so that a replay is noticed.",
        tenant=False,
        subject="team",
        personal="secret",
        retention="as long as their session",
        ground=_INTEREST,
        indexes=(Index(_up("session_id")), _EXPIRES),
    ),
    Collection(
        name="labels",
        purpose="The tenants.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="until the label is deleted",
        ground=_CONTRACT,
        export=("name", "slug", "country", "timezone", "branding", "created_at"),
        indexes=(Index(_up("slug"), unique=True),),
    ),
    Collection(
        name="memberships",
        purpose="Who works for which label, in which role.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="until the person leaves the label",
        ground=_CONTRACT,
        export=("label_id", "role", "created_at"),
        indexes=(Index(_up("label_id", "user_id"), unique=True), Index(_up("user_id"))),
    ),
    Collection(
        name="invitations",
        purpose="Who was asked to work for which label.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="7 days, or until it is accepted or withdrawn",
        ground=_CONTRACT,
        export=("label_id", "email", "role", "created_at"),
        indexes=(Index(_up("label_id", "email_key"), unique=True), _EXPIRES),
    ),
    Collection(
        name="api_clients",
        purpose="Partners' API clients: scopes, hashes of their secrets, and the owner's decisions on data from Meta.",
        tenant=True,
        subject="team",
        personal="secret",
        retention="until the client is deleted",
        ground=_CONTRACT,
        indexes=(Index(_up("label_id", "_id")),),
    ),
    Collection(
        name="revoked_tokens",
        purpose="Ids of partners' access tokens that were revoked before their end.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="as long as the token would have lived",
        ground=_INTEREST,
        indexes=(_EXPIRES,),
    ),
    Collection(
        name="support_grants",
        purpose="When our support looked into which label, and why.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="12 months",
        ground=_INTEREST,
        export=("label_id", "reason", "created_at", "ends_at"),
        indexes=(Index(_up("label_id", "user_id")), _EXPIRES),
    ),
    Collection(
        name="audit_log",
        purpose="Who did what, on what, when and from where: ids only, chained, so that a changed row is found.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="12 months",
        ground=_INTEREST,
        erasure="keep",
        indexes=(Index(_up("label_id", "chain", "seq"), unique=True), _EXPIRES),
    ),
    Collection(
        name="audit_heads",
        purpose="Where each chain of the audit log ends.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="as long as the label or the account, and 12 months",
        ground=_INTEREST,
        erasure="keep",
        indexes=(Index(_up("label_id", "chain"), unique=True),),
    ),
    Collection(
        name="connections",
        purpose="Accounts at providers that a label has connected.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="until the account is disconnected",
        ground=_CONTRACT,
        export=("provider", "account", "features", "granted_scopes", "status", "created_at"),
        indexes=(
            Index(_up("label_id", "network", "active_account_id"), unique=True, present="active_account_id"),
            Index(_up("account_ids")),
            Index(_up("person_ids")),
            Index(_up("subscription_id")),
            Index(_up("refresh_at"), present="refresh_at"),
            Index(_up("warn_at"), present="warn_at"),
            Index(_up("check_at"), present="check_at"),
            Index(_up("abandon_at"), present="abandon_at"),
        ),
    ),
    Collection(
        name="disconnections",
        purpose="How connections ended: each step and its result, for the receipt. Ids and codes, no name, no content.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="12 months",
        ground=_INTEREST,
        export=("provider", "provider_id", "reason", "begun_at", "completed_at"),
        indexes=(Index(_up("label_id", "completed_at")), _EXPIRES),
    ),
    Collection(
        name="deletion_requests",
        purpose="What Meta told us of people who left: a keyed hash of the person, and what was ended for it.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="12 months",
        ground="legal obligation: to show that a request was met (6.1.c)",
        export=("provider", "requested_at", "completed_at"),
        indexes=(
            Index(_up("answered"), unique=True),
            Index(_up("open_for"), unique=True, present="open_for"),
            Index(_up("person")),
            _EXPIRES,
        ),
    ),
    Collection(
        name="oauth_states",
        purpose="Log-ins at a provider that are under way.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="10 minutes",
        ground=_INTEREST,
        indexes=(_EXPIRES,),
    ),
    Collection(
        name="secrets",
        purpose="The vault: sealed tokens.",
        tenant=True,
        subject="team",
        personal="secret",
        retention="until the account is disconnected",
        ground=_CONTRACT,
        indexes=(Index(_up("label_id", "connection_id", "purpose"), unique=True),),
    ),
    Collection(
        name="vault_openings",
        purpose="Which worker opened which sealed token, when and what for.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="12 months",
        ground=_INTEREST,
        erasure="keep",
        indexes=(Index(_up("label_id", "secret_id", "at")), _EXPIRES),
    ),
    Collection(
        name="webhook_inbox",
        purpose="Changes that Meta delivered: the change until it is worked off, then only a keyed hash.",
        tenant=False,
        subject="fan",
        personal="content",
        retention=f"the change until it is worked off, at most {_THIRTY_DAYS}; the hash 36 days",
        ground=_INTEREST,
        indexes=(Index(_up("due_at"), present="due_at"), _EXPIRES),
    ),
    Collection(
        name="parked_changes",
        purpose="Changes of a kind we do not know yet, for an engineer to look at.",
        tenant=True,
        subject="fan",
        personal="content",
        retention=f"7 days, at most {_THIRTY_DAYS}",
        ground=_INTEREST,
        indexes=(_EXPIRES,),
    ),
    Collection(
        name="conversations",
        purpose="Who talks with a label.",
        tenant=True,
        subject="fan",
        personal="identity",
        retention="as long as its newest message",
        ground=_CONTRACT,
        export=("participant", "status", "tags", "last_message_at"),
        indexes=(
            Index(_up("label_id", "connection_id", "participant.provider_id"), unique=True),
            Index((("label_id", 1), ("last_message_at", -1), ("_id", -1)), present="last_message_at"),
            Index(_up("recount_at"), present="recount_at"),
            Index(_up("participant.provider_id")),
            _EXPIRES,
        ),
    ),
    Collection(
        name="messages",
        purpose="What fans write and what the label answers.",
        tenant=True,
        subject="fan",
        personal="content",
        retention=_THIRTY_DAYS,
        ground=_CONTRACT,
        export=("direction", "content", "sent_at", "deleted_at"),
        indexes=(
            Index(_up("label_id", "connection_id", "provider_id"), unique=True, present="provider_id"),
            Index((("label_id", 1), ("conversation_id", 1), ("ordered_at", -1), ("_id", -1))),
            _EXPIRES,
        ),
    ),
    Collection(
        name="comments",
        purpose="Comments on the label's media.",
        tenant=True,
        subject="fan",
        personal="content",
        retention=_THIRTY_DAYS,
        ground=_CONTRACT,
        export=("author", "content", "media", "sent_at"),
        indexes=(
            Index(_up("label_id", "connection_id", "provider_id"), unique=True),
            Index((("label_id", 1), ("sent_at", -1), ("_id", -1))),
            Index(_up("author.provider_id")),
            _EXPIRES,
        ),
    ),
    Collection(
        name="operations",
        purpose="Work for the workers, and what came of it. Ids only.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="90 days",
        ground=_INTEREST,
        indexes=(
            Index(_up("label_id", "key"), unique=True),
            Index(_up("label_id", "queue", "_id"), present="queue"),
            Index(_up("label_id", "connection_id", "state"), present="connection_id"),
            Index(_up("due_at"), present="due_at"),
            _EXPIRES,
        ),
    ),
    Collection(
        name="events",
        purpose="What happened: types and ids, never content.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="30 days",
        ground=_CONTRACT,
        indexes=(Index(_up("label_id", "key"), unique=True), Index(_up("label_id", "_id")), _EXPIRES),
    ),
    Collection(
        name="idempotency_keys",
        purpose="Answers to requests that may be repeated, sealed under the caller's own key.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="24 hours",
        ground=_CONTRACT,
        indexes=(_EXPIRES,),
    ),
    Collection(
        name="worker_heartbeats",
        purpose="Which workers take jobs from the queue.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="1 hour",
        ground=_INTEREST,
        erasure="keep",
        indexes=(_EXPIRES,),
    ),
)

DATA_MAP = {collection.name: collection for collection in _COLLECTIONS}
"""By name."""
EXPIRING = tuple(c.name for c in _COLLECTIONS if _EXPIRES in c.indexes)
"""The collections whose documents carry their end as `expires_at`."""
