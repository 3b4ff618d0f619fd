"""How a collection is declared on the data map."""

from dataclasses import dataclass
from typing import Any, Literal

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


Holds = Literal["id", "address", "session", "conversation", "written", "number", "hash"]
"""What a part's fields hold of the person: their id, the key of their address, the id of one of their sessions or
conversations or of what they have written, a keyed hash of them, or, somewhere in raw bytes, the number by which the
provider knows them."""


@dataclass(frozen=True)
class Part:
    """What a collection's documents hold of one person, and what that person's rights do to it."""

    subject: Literal["user", "fan"]
    """Somebody with an account (`usr_…`), or who writes to a label (an id at the provider)."""
    by: tuple[str, ...]
    """Paths of fields; a document that holds the person in any of them is meant. `list[]` is each item of a list."""
    erase: Literal["delete", "unlink", "keep"]
    """The document goes; or `ERASED` takes the id's place; or it stays as it is, for the reason that `why` gives."""
    export: tuple[str, ...] = ()
    """Paths of the fields that the person's export shows."""
    clears: tuple[str, ...] = ()
    """Fields that go with the id when it is unlinked: the person's own words, or words about them."""
    why: str = ""
    """For a receipt: why something stays, and until when. Only of what is not deleted."""
    holds: Holds = "id"
    without_label: bool = False
    """Whether such documents may be of an account alone, in a collection of labels': then their `label_id` is null."""


ERASED = "usr_erased"
"""Stands where the id of an erased person stood: the same for all of them, so that it says nothing of anybody."""


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
    of_connection: Literal["erase", "destroy", "keep"] | None = None
    """What the end of a connection does to the documents that name it as `connection_id`: at once (`erase`), once the
    provider has been asked to revoke (`destroy`), or nothing, because they hold ids alone. None where none does."""
    outlives_label: bool = False
    """Whether it stays when its label is deleted, under a pseudonym, because a law asks for it. Then something else
    than the end of the label ends it (`retention`)."""
    parts: tuple[Part, ...] = ()
    """What is in it of a person, for that person's own rights. `export` and `erasure` are the label's."""
    indexes: tuple[Index, ...] = ()
    fields: tuple[str, ...] = ()
    """Every field that its documents may have, where a promise says that they have no other. The tests' house watches
    that nothing else is written."""


def up(*fields: str) -> Keys:
    """The keys of an ascending index."""
    return tuple((field, 1) for field in fields)


def named(*by: str, export: tuple[str, ...] = (), what: str, clears: tuple[str, ...] = ()) -> Part:
    """The part of whoever made or did something for a label: it stays the label's, and nobody's in particular."""
    why = f"{what}: it belongs to the label and stays as long as the label keeps it, without your id"
    return Part("user", by, "unlink", export=export, clears=clears, why=why)


CONTRACT = "contract (6.1.b)"
INTEREST = "legitimate interest: a service that is safe and loses nothing (6.1.f)"
DUTY = "a duty of tax and company law (6.1.c)"
CONSENT = "consent (6.1.a)"
DUTY_TO_SHOW = "a duty to be able to show a consent (6.1.c with 7.1)"
THIRTY_DAYS = "30 days after Meta's own time"
EXPIRES = Index(up("expires_at"), ttl=True)


def newest(field: str, *, of: str | None = None) -> Keys:
    """Keys of a label's list, the newest by this time first: of all of it, or of those with the same `of`."""
    among: Keys = ((of, 1),) if of else ()
    return (("label_id", 1), *among, (field, -1), ("_id", -1))
