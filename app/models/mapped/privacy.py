"""Requests of people about their own data, and how they stand, on the data map."""

from app.models.collection import EXPIRES, Collection, Index, Part, up

DUTY_TO_SHOW = "a duty: to meet a request within a month, and to show that it was met (6.1.c; GDPR 5.2, 12.3)"
EVIDENCE = "that a request was met must be shown when somebody asks: 3 years after it, by ids and codes alone"
FORGETS = "a request of a fan forgets whom it was about when it is closed"
TOMBSTONE = "by a keyed hash, what a fan wrote before the erasure is known and not taken in again: 36 days"

COLLECTIONS = (
    Collection(
        name="privacy_requests",
        purpose="What people asked of us about their data, until when it is due, and what came of it: ids and codes.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="3 years after it was met or refused",
        ground=DUTY_TO_SHOW,
        export=("kind", "state", "received_at", "due_at", "closed_at"),
        parts=(
            Part(
                "user",
                ("user_id",),
                "keep",
                export=("kind", "state", "received_at", "due_at", "closed_at", "evidence"),
                why=EVIDENCE,
            ),
            Part("fan", ("fan.provider_ids[]",), "unlink", why=FORGETS),
        ),
        indexes=(
            Index(up("label_id", "user_id", "_id")),
            Index(up("user_id")),
            Index(up("code"), present="code"),
            Index(up("remind_at"), present="remind_at"),
            Index(up("closed_at")),
            EXPIRES,
        ),
    ),
    Collection(
        name="erased_fans",
        purpose="Of whom a label has erased everything: a keyed hash, so that nothing of before comes back.",
        tenant=True,
        subject="fan",
        personal="technical",
        retention="36 days: until nothing of that time could be stored any more",
        ground=DUTY_TO_SHOW,
        export=("erased_at",),
        parts=(Part("fan", ("_id",), "keep", holds="hash", why=TOMBSTONE),),
        indexes=(Index(up("label_id", "_id")), EXPIRES),
    ),
    Collection(
        name="restrictions",
        purpose="Who has had the use of their data restricted, or objects to a purpose.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="until it is lifted, or the account is deleted",
        ground=DUTY_TO_SHOW,
        export=("restricted_at", "objections"),
        parts=(Part("user", ("_id",), "delete", export=("restricted_at", "objections")),),
    ),
)
