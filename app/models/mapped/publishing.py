"""What is published where, on the data map."""

from app.models.collection import CONTRACT, Collection, Index, named, up

COLLECTIONS = (
    Collection(
        name="publication_targets",
        purpose="One publication on one account: what is to be published, each step towards it, and what came of it.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="until the account is disconnected, or the publication or the label is deleted",
        ground=CONTRACT,
        export=(
            *("publication_id", "connection_id", "network", "kind", "state", "snapshot"),
            *("due_at", "published_at", "provider_id", "permalink"),
        ),
        of_connection="erase",
        parts=(
            named(
                "snapshot.created_by.id",
                "snapshot.approved_by.id",
                export=("label_id", "network", "kind", "published_at"),
                what="a post",
            ),
        ),
        indexes=(
            Index(up("label_id", "publication_id", "publication_version", "connection_id"), unique=True),
            Index(up("label_id", "connection_id")),
            Index(up("watch_at"), present="watch_at"),
        ),
    ),
)
