"""What lies or goes outside MongoDB: Redis's keys, files, lines of the log, and who else receives data.

The record of processing, the retention page and the diagram are made from this and from the data map. A test runs the
product and fails on a key, a file or a field of a log that is not here. Countries and safeguards of recipients are what
their terms said in November 2026; counsel should look at them before production does.
"""

import re
from dataclasses import dataclass
from typing import Literal

Personal = Literal["content", "identity", "technical", "secret", "none"]


@dataclass(frozen=True)
class RedisKey:
    """Keys of one form. Redis holds no content, and may lose everything."""

    pattern: str
    """A regular expression of the whole key."""
    purpose: str
    personal: Personal
    retention: str


@dataclass(frozen=True)
class FilePrefix:
    """Objects of the storage whose keys begin alike."""

    prefix: str
    purpose: str
    personal: Personal
    retention: str
    erasure: str


@dataclass(frozen=True)
class LogField:
    """A field of the lines that processes write to standard output."""

    name: str
    purpose: str
    personal: Personal = "none"


@dataclass(frozen=True)
class Recipient:
    """Somebody else who gets data, and why that is lawful."""

    id: str
    name: str
    role: Literal["processor", "integration", "partner"]
    """A processor works for us; an integration is a service that a label connects; a partner is let in by a label."""
    purpose: str
    data: str
    when: str
    hosts: tuple[str, ...]
    """How their machines are called, or how their names end (with a dot before)."""
    country: str
    safeguard: str
    retention: str

    def has(self, host: str) -> bool:
        """Whether this machine is theirs."""
        return any(host == one.removeprefix(".") or (one[0] == "." and host.endswith(one)) for one in self.hosts)


REDIS_KEYS = (
    RedisKey(r"soundops:jobs", "The queue of jobs: names and our own ids.", "none", "until a worker takes the job"),
    RedisKey(r"soundops:jobs:health:wrk_[0-9a-z]+", "That a worker listens.", "none", "seconds"),
    RedisKey(r"arq:job:[\w:.-]+", "A job: its name and ids.", "none", "until it is done, a day at most"),
    RedisKey(r"arq:(in-progress|retry):[\w:.-]+", "That a job runs, and how often it began.", "none", "minutes"),
    RedisKey(r"arq:abort", "Jobs to be given up.", "none", "a day"),
    RedisKey(
        r"soundops:limit:[a-z_]+:[0-9a-f]{32}",
        "How often somebody asked lately: times under a keyed hash of an address, an account or a label.",
        "technical",
        "as long as the limit's window, a day at most",
    ),
)
FILE_PREFIXES = (
    FilePrefix(
        "quarantine/",
        "Uploads that nobody has looked at yet. Nothing is served from there.",
        "content",
        "until they are looked at; an upload that was never completed, a day",
        "with the file or the label",
    ),
    FilePrefix(
        "labels/",
        "A label's pictures and videos, written anew without where and by whom they were made.",
        "content",
        "until the file or the label is deleted",
        "with the file or the label",
    ),
    FilePrefix(
        "exports/",
        "Data that somebody asked for, sealed; each file's key lies in the database alone.",
        "content",
        "7 days, or until the first content in it ends",
        "deleted",
    ),
    FilePrefix(
        "journal/",
        "What must stay undone when a backup is restored: kinds, times, and keyed hashes of our own ids.",
        "technical",
        "40 days, ten more than a backup",
        "kept: a hash that only we can compare, so that an older backup brings nobody back",
    ),
)
LOG_RETENTION = "as long as whoever runs it keeps the log: 7 days are enough, and should be the most"
_PLAIN = (
    ("event", "what happened, in words of ours"),
    ("level", "how bad it is"),
    ("logger", "which part says it"),
    ("timestamp", "when"),
    ("request_id", "which request"),
    ("method", "of a request"),
    ("path", "of a request, with ids of ours; never its query"),
    ("status", "of an answer"),
    ("ms", "how long a request took"),
    ("problem", "the code of a refusal"),
    ("error", "the class of an exception; never its text"),
    ("at", "the lines of code that an exception passed"),
    ("reason", "a code, or the class of an error"),
    ("operation", "the id of an operation"),
    ("kind", "of an operation"),
    ("job", "the name of a job"),
    ("crashes", "how often an operation broke off"),
    ("label", "the id of a label"),
    ("export", "the id of an export"),
    ("connection", "the id of a connection"),
    ("record", "the id of a sealed secret"),
    ("key", "the id of a key of the vault; never a key"),
    ("count", "how many"),
    ("overtaken", "how many were changed by others meanwhile"),
    ("broken", "how many do not open"),
    ("change", "the key of a change that Meta delivered"),
    ("channel", "how a change came"),
    ("run", "the id of a run of a rule"),
    ("worker", "the id of a worker"),
    ("file", "the name of a file of keys"),
    ("http_status", "of a provider's answer"),
    ("what", "a code"),
    ("since", "an instant"),
    ("until", "an instant"),
    ("live", "whether an event of Stripe's is of its live mode"),
    ("promise", "the id of a promise"),
    ("figure", "what a promise's check has measured"),
    ("allowed", "up to where the promise holds"),
    ("detail", "codes of what is in its way"),
    ("seq", "the number of an attestation"),
    ("hash", "of an attestation: who keeps the log can tell that the chain was not written anew"),
)
LOG_FIELDS = (
    *(LogField(name, purpose) for name, purpose in _PLAIN),
    LogField("actor", "the id of the account or the client that asked", "technical"),
    LogField("pseudonym", "what a label that was erased is called in records of money", "technical"),
)
RECIPIENTS = (
    Recipient(
        "mongodb_atlas",
        "MongoDB Atlas",
        "processor",
        "runs the database, where it is not our own",
        "everything that is stored, tokens sealed",
        "always",
        (".mongodb.net",),
        "the region of the cluster; MongoDB, Inc. is in the USA",
        "data processing agreement; EU-US Data Privacy Framework, standard contractual clauses",
        "as the data map says; snapshots as long as they are kept",
    ),
    Recipient(
        "aws",
        "Amazon Web Services",
        "processor",
        "keeps files (S3), wraps keys (KMS), sends mail (SES)",
        "files of labels; wrapped keys; mails and their addresses",
        "always",
        (".amazonaws.com", ".amazonaws.com.cn"),
        "the region of the bucket, the key and the mail service; Amazon.com, Inc. is in the USA",
        "data processing addendum; EU-US Data Privacy Framework, standard contractual clauses",
        "until the file is deleted; mails are not kept",
    ),
    Recipient(
        "stripe",
        "Stripe",
        "processor",
        "takes payments for plans",
        "whom an invoice names, cards (typed at Stripe's only), amounts",
        "when a label buys a plan",
        (".stripe.com",),
        "Ireland and the USA",
        "data processing agreement; EU-US Data Privacy Framework, standard contractual clauses",
        "as long as law asks Stripe to",
    ),
    Recipient(
        "vercel",
        "Vercel",
        "processor",
        "delivers the single-page app to browsers",
        "addresses of the browsers that load it",
        "when somebody opens the app",
        (".vercel.app", ".vercel.com"),
        "the USA, and the place nearest to the browser",
        "data processing addendum; EU-US Data Privacy Framework, standard contractual clauses",
        "as Vercel's log",
    ),
    Recipient(
        "meta",
        "Meta (Facebook, Instagram)",
        "integration",
        "publishes, answers, reads figures for an account that a label has connected",
        "what the label publishes and answers, and ids of what it is about",
        "when a label has connected an account there",
        (".facebook.com", ".instagram.com"),
        "Ireland and the USA",
        "the label's own contract with Meta; Meta's Platform Terms",
        "as Meta's policy says",
    ),
    Recipient(
        "spotify",
        "Spotify",
        "integration",
        "reads the catalogue of an account that a label has connected",
        "ids of what is asked about",
        "when a label has connected an account there",
        (".spotify.com",),
        "Sweden and the USA",
        "the label's own contract with Spotify; Spotify's Developer Terms",
        "as Spotify's policy says",
    ),
    Recipient(
        "google_analytics",
        "Google Analytics",
        "processor",
        "counts visits and what is used",
        "an id made for this, pages and features; no name, no network address",
        "only with consent, and only where it is configured",
        (".google-analytics.com", ".analytics.google.com"),
        "Ireland and the USA",
        "data processing terms; EU-US Data Privacy Framework, standard contractual clauses",
        "14 months at most, as its property is set",
    ),
    Recipient(
        "mail_server",
        "The mail server that delivers our mails",
        "processor",
        "delivers mails to people",
        "mails and their addresses",
        "when a mail is sent",
        (),
        "where whoever runs it has it; Amazon's, where it is SES",
        "our own, or an agreement with who runs it",
        "until it has delivered them",
    ),
    Recipient(
        "partners",
        "Partners of a label",
        "partner",
        "work with the label's data through the API, as the label has decided",
        "what the scopes say that the label gave; data from Meta only by an owner's recorded decision",
        "when a label lets one in",
        (),
        "where the partner is",
        "the label's own contract with its partner",
        "as that contract says",
    ),
)


def undeclared_key(key: str) -> bool:
    """Whether no form of Redis's keys is this one's."""
    return not any(re.fullmatch(one.pattern, key) for one in REDIS_KEYS)


def undeclared_file(key: str) -> bool:
    """Whether no prefix of the storage's is this object's."""
    return not any(key.startswith(one.prefix) for one in FILE_PREFIXES)


def undeclared_field(name: str) -> bool:
    """Whether the log has no such field."""
    return name not in {one.name for one in LOG_FIELDS}


def recipient_of(host: str) -> Recipient | None:
    """Whose machine this is, of those that are declared."""
    return next((one for one in RECIPIENTS if one.has(host)), None)
