"""What is true of the whole service, on the data map."""

from app.models.collection import INTEREST, Collection

COLLECTIONS = (
    Collection(
        name="service_state",
        purpose="Whether the database was restored from a backup, so that nothing may leave it yet.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="as long as the service",
        ground=INTEREST,
        erasure="keep",
    ),
)
