"""What is published where, on the data map."""

from app.models.collection import CONTRACT, Collection, Index, up

COLLECTIONS = (
    Collection(
        name="publication_targets",
        purpose="One publication on one account: what is to be published, each step towards it, and what came of it.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="until the account is disconnected, or the publication or the label is deleted",
        ground=CONTRACT,
        export=("network", "kind", "state", "snapshot", "due_at", "published_at", "provider_id", "permalink"),
        of_connection="erase",
        indexes=(
            Index(up("label_id", "publication_id", "publication_version", "connection_id"), unique=True),
            Index(up("label_id", "connection_id")),
            Index(up("watch_at"), present="watch_at"),
        ),
    ),
)
