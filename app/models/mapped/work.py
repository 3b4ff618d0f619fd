"""What the machine itself needs, on the data map."""

from app.models.collection import CONTRACT, EXPIRES, INTEREST, Collection, Index, up

COLLECTIONS = (
    Collection(
        name="operations",
        purpose="Work for the workers, and what came of it. Ids only.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="90 days",
        ground=INTEREST,
        of_connection="keep",
        indexes=(
            Index(up("label_id", "key"), unique=True),
            Index(up("label_id", "queue", "_id"), present="queue"),
            Index(up("label_id", "connection_id", "state"), present="connection_id"),
            Index(up("due_at"), present="due_at"),
            EXPIRES,
        ),
    ),
    Collection(
        name="events",
        purpose="What happened: types and ids, never content.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="30 days",
        ground=CONTRACT,
        indexes=(
            Index(up("label_id", "key"), unique=True),
            Index(up("label_id", "seq"), unique=True, present="seq"),
            Index(up("label_id", "unplaced"), present="unplaced"),
            Index(up("unplaced"), present="unplaced"),
            EXPIRES,
        ),
    ),
    Collection(
        name="stream_heads",
        purpose="How many events of a label have got their place in its stream.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="as long as the label",
        ground=CONTRACT,
    ),
    Collection(
        name="idempotency_keys",
        purpose="Answers to requests that may be repeated, sealed under the caller's own key.",
        tenant=False,
        subject="team",
        personal="technical",
        retention="24 hours",
        ground=CONTRACT,
        indexes=(EXPIRES,),
    ),
    Collection(
        name="worker_heartbeats",
        purpose="Which workers take jobs from the queue.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="1 hour",
        ground=INTEREST,
        erasure="keep",
        indexes=(EXPIRES,),
    ),
)
