"""Insights on the data map: what Meta tells of a label's accounts, media and posts, day by day."""

from app.models.collection import CONTRACT, EXPIRES, Collection, Index, newest, up

RETENTION = "24 months after the day that it tells of; then it is deleted, so that nothing is left to anonymise"
RANKED = ("reach", "views", "total_interactions")
"""The figures that a list of media can be sorted by."""

COLLECTIONS = (
    Collection(
        name="account_days",
        purpose="An account's figures of one day, as Meta tells them: sums over people, nobody in particular.",
        tenant=True,
        subject="team",
        personal="technical",
        retention=RETENTION,
        ground=CONTRACT,
        of_connection="erase",
        export=("connection_id", "network", "day", "metrics"),
        indexes=(Index(up("label_id", "connection_id", "day"), unique=True), EXPIRES),
    ),
    Collection(
        name="media",
        purpose="What a label's accounts have posted: ids, address, kind and time. Neither caption nor picture.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="24 months after it was posted",
        ground=CONTRACT,
        of_connection="erase",
        export=("connection_id", "network", "provider_id", "permalink", "product", "posted_at", "latest"),
        indexes=(
            Index(up("label_id", "connection_id", "provider_id"), unique=True),
            Index(up("label_id", "provider_id")),
            Index(newest("posted_at")),
            Index(newest("posted_at", of="connection_id")),
            *(Index(newest(f"ranked.{name}")) for name in RANKED),
            *(Index(newest(f"ranked.{name}", of="connection_id")) for name in RANKED),
            Index(up("label_id", "connection_id", "due_at"), present="due_at"),
            EXPIRES,
        ),
    ),
    Collection(
        name="media_days",
        purpose="The figures of a media as they stood on one day.",
        tenant=True,
        subject="team",
        personal="technical",
        retention=RETENTION,
        ground=CONTRACT,
        of_connection="erase",
        export=("media_id", "day", "metrics"),
        indexes=(
            Index(up("label_id", "media_id", "day"), unique=True),
            Index(up("label_id", "connection_id", "day")),
            EXPIRES,
        ),
    ),
)
