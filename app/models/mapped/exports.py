"""Exports of people's and labels' data, on the data map. The files themselves are objects in a storage."""

from app.models.collection import EXPIRES, Collection, Index, Part, up

ANSWER = "a duty: to hand out what we have of a person, and what a label has here (6.1.c; GDPR 15, 20)"
SHOWN = ("kind", "state", "created_at", "made_at", "ends_at")

COLLECTIONS = (
    Collection(
        name="exports",
        purpose="Who asked for a copy of their own or their label's data, and the sealed key of its file.",
        tenant=True,
        subject="team",
        personal="technical",
        retention="30 days; the file and its key 7 days at most",
        ground=ANSWER,
        export=SHOWN,
        parts=(
            Part("user", ("user_id",), "delete", export=SHOWN, without_label=True),
            Part("user", ("about",), "delete"),
        ),
        indexes=(
            Index(up("label_id", "about", "_id")),
            Index(up("label_id", "about", "running"), unique=True, present="running"),
            Index(up("user_id")),
            Index(up("look_at"), present="look_at"),
            EXPIRES,
        ),
    ),
)
