"""What is kept of the promises themselves, on the data map. Nothing of it is about a person."""

from app.models.collection import EXPIRES, INTEREST, Collection, Index, up

COLLECTIONS = (
    Collection(
        name="promise_checks",
        purpose="Whether each promise of the privacy policy holds, as it was measured last: figures, codes, ids.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="as long as the promise",
        ground=INTEREST,
        erasure="keep",
    ),
    Collection(
        name="promise_days",
        purpose="The worst of each promise on each day: figures.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="13 months",
        ground=INTEREST,
        erasure="keep",
        indexes=(Index(up("day")), Index(up("promise_id", "day"), unique=True), EXPIRES),
    ),
    Collection(
        name="attestations",
        purpose="The state of all promises on each day, signed, and chained to the one before.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="as long as the service",
        ground=INTEREST,
        erasure="keep",
        indexes=(Index(up("day", "key_id"), unique=True),),
    ),
)
