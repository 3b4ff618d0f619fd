"""The receipt of a connection's end, as the record of it stands; and what its owner can do beside it."""

from typing import get_args

from app.db import Doc
from app.errors import NotFinished
from app.models.receipts import ReceiptBody, ReceiptStep, Step

ORDER: tuple[Step, ...] = get_args(Step)
WHERE = {
    "instagram": "in Instagram: Settings > Website permissions > Apps and websites",
    "facebook": "in Facebook: Settings & privacy > Settings > Business integrations",
    "spotify": "at https://www.spotify.com/account/apps",
}
"""Where a person takes an app's access back. Source: meta-platform.md, section 1.5; spotify.md."""
AT_THE_PROVIDER = {"asked_undocumented", "not_offered", "refused", "gave_up"}
"""Results after which only the person can be sure that the provider has ended our access."""


def body_of(record: Doc) -> ReceiptBody:
    """The receipt. Raises `NotFinished`, with what is done and what is awaited."""
    if record["completed_at"] is None:
        raise NotFinished(_progress(record))
    told = ("provider", "provider_id", "reason", "begun_at", "completed_at")
    steps = [_step(name, record["steps"][name]) for name in ORDER]
    shown = {name: record[name] for name in told} | {"connection_id": record["_id"], "steps": steps}
    return ReceiptBody(**shown, advice=_advice(record))


def _step(name: Step, step: Doc) -> ReceiptStep:
    return ReceiptStep(name=name, result=step["result"], at=step["at"], detail=step["detail"])


def _progress(record: Doc) -> str:
    done = [name for name in ORDER if "result" in record["steps"].get(name, {})]
    awaited = [name for name in ORDER if name not in done]
    return f"Done: {', '.join(done)}. Awaited: {', '.join(awaited) or 'the record'}. The account is not used any more."


def _advice(record: Doc) -> list[str]:
    provider = record["provider"]
    result = record["steps"]["revoke"]["result"]
    if result in AT_THE_PROVIDER:
        return [f"Only you can be sure that our access has ended: remove SoundOps {WHERE[provider]}."]
    if result == "kept_for_others":
        return [
            f"Another connection here uses the same permission, so we left it. Remove SoundOps {WHERE[provider]} if you"
            " want to end all of them."
        ]
    return []
