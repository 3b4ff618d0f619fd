"""What a label plans to publish, on the data map."""

from app.models.collection import CONTRACT, Collection, Index, named, up

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
        export=(
            *("kind", "mode", "state", "targets", "assets", "caption", "alt_texts", "first_comment", "user_tags"),
            *("collaborators", "location_id", "link", "plan_id", "scheduled_at", "timezone"),
            *("created_by", "created_at"),
        ),
        parts=(
            named(
                "created_by.id",
                "submitted_by.id",
                "approved_by.id",
                "authors[].id",
                export=("label_id", "kind", "caption", "created_at"),
                what="a publication",
            ),
        ),
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
        export=("publication_id", "version", "content", "by", "at"),
        parts=(named("by.id", export=("label_id", "version", "at"), what="a publication's earlier version"),),
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
        export=("publication_id", "text", "author", "created_at"),
        parts=(named("author.id", export=("label_id", "text", "created_at"), what="a comment on a publication"),),
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
        export=("name", "connection_ids", "days", "time", "timezone", "created_at"),
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
        export=("title", "release_date", "timezones", "embargo", "created_at"),
        parts=(named("created_by.id", export=("label_id", "title", "created_at"), what="a release plan"),),
        indexes=(Index((("label_id", 1), ("_id", -1))),),
    ),
)
