"""A label's files, on the data map. The files themselves are objects in a storage: docs/assets.md."""

from app.models.collection import CONTRACT, EXPIRES, INTEREST, Collection, Index, named, up

COLLECTIONS = (
    Collection(
        name="assets",
        purpose="The label's images and videos: what they are, and where their objects lie in the storage.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="until the file or the label is deleted; a refused one 30 days, an upload never completed one day",
        ground=CONTRACT,
        export=("name", "kind", "alt_text", "created_at"),
        parts=(named("created_by", export=("label_id", "name", "created_at"), what="a file"),),
        indexes=(
            Index((("label_id", 1), ("_id", -1))),
            Index((("label_id", 1), ("kind", 1), ("_id", -1))),
            Index((("label_id", 1), ("state", 1), ("_id", -1))),
            Index(up("label_id", "sha256", "_id"), present="sha256"),
            EXPIRES,
        ),
    ),
    Collection(
        name="asset_usage",
        purpose="How many bytes a label's files take, and what uploads under way may add.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="as long as the label has had files",
        ground=INTEREST,
        indexes=(Index(up("label_id"), unique=True),),
    ),
)
"""The collections of the data map, by what they are about."""
