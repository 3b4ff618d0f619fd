"""What a label plans to publish, on the data map."""

from app.models.collection import CONTRACT, Collection, Index, up

_LIST = ((), ("state",), ("targets",), ("plan_id",))

COLLECTIONS = (
    Collection(
        name="publications",
        purpose="What a label publishes or has published: its own words and pictures, and who approved it.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="until the publication or the label is deleted",
        ground=CONTRACT,
        export=("kind", "caption", "state", "scheduled_at", "created_by", "created_at"),
        indexes=(
            *(Index((("label_id", 1), *up(*by), ("_id", -1))) for by in _LIST),
            Index(up("label_id", "scheduled_at", "_id"), present="scheduled_at"),
            Index(up("label_id", "slot_key"), unique=True, present="slot_key"),
            Index(up("label_id", "same", "scheduled_at"), present="same"),
            Index(up("label_id", "assets", "_id")),
            Index(up("label_id", "cover.asset_id", "_id"), present="cover.asset_id"),
        ),
    ),
    Collection(
        name="publication_versions",
        purpose="What a publication was before each change, so that it can be seen and restored.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="as long as the publication",
        ground=CONTRACT,
        export=("version", "content", "by", "at"),
        indexes=(Index((("label_id", 1), ("publication_id", 1), ("version", -1)), unique=True),),
    ),
    Collection(
        name="publication_comments",
        purpose="What the team writes to itself about a publication.",
        tenant=True,
        subject="team",
        personal="identity",
        retention="as long as the publication",
        ground=CONTRACT,
        export=("text", "author", "created_at"),
        indexes=(Index((("label_id", 1), ("publication_id", 1), ("_id", -1))),),
    ),
    Collection(
        name="slots",
        purpose="When a label publishes every week.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="until the slot or the label is deleted",
        ground=CONTRACT,
        indexes=(Index(up("label_id", "_id")),),
    ),
    Collection(
        name="release_plans",
        purpose="Dates of releases that publications hang on, and until when nothing may reveal them.",
        tenant=True,
        subject="nobody",
        personal="none",
        retention="until the plan or the label is deleted",
        ground=CONTRACT,
        indexes=(Index((("label_id", 1), ("_id", -1))),),
    ),
)
