"""What is true of the whole service, on the data map."""

from app.models.collection import EXPIRES, INTEREST, Collection

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
    Collection(
        name="journal_waiting",
        purpose="What the journal beside the backups must tell, while the storage is away: keyed hashes of ids.",
        tenant=False,
        subject="nobody",
        personal="none",
        retention="until the storage is back; 40 days at most, as the journal itself",
        ground=INTEREST,
        erasure="keep",
        indexes=(EXPIRES,),
    ),
)
