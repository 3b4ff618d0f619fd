"""How the stand-in's Stripe account is set up: what the dashboard would say, and how webhooks travel."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.stripe.store import Obj, Store, Tx


class Options(BaseModel):
    """What is left out goes back to its default."""

    model_config = ConfigDict(extra="forbid")

    retry_days: list[float] = Field(default=[3, 5, 7], max_length=8)
    """After how many days each a failed renewal is tried again."""
    final_failure: Literal["cancel", "unpaid", "past_due", "pause"] = "unpaid"
    """What becomes of a subscription when the last try has failed."""
    finalize_after_s: int = Field(default=3600, ge=0)
    """How long a renewal's invoice stays a draft."""
    one_subscription: bool = False
    """Whether Checkout lets a customer have one subscription only (a switch in the dashboard)."""
    paused: bool = False
    """Whether webhooks are held back."""
    drop: float = Field(default=0, ge=0)
    """Webhooks that get lost for good: below 1 a share, else how many of the next."""
    duplicate: float = Field(default=0, ge=0, le=1)
    """The share of webhooks that come twice."""
    reorder: bool = False
    """Whether waiting webhooks are sent in any order instead of the oldest first."""
    delay_s: float = Field(default=0, ge=0)
    """How much later they are sent."""
    stamp_offset_s: int = 0
    """What is added to the real time for the stamp `t` of signatures."""
    seed: int = 1
    """Which webhooks the shares hit."""


def options_of(store: Store) -> Options:
    """The options as they are now."""
    kept = store.objects.get("options")
    return Options.model_validate(kept["_said"]) if kept else Options()


def set_options(tx: Tx, said: dict[str, Any]) -> Options:
    """Set them all."""
    options = Options.model_validate(said)
    kept: Obj = {"id": "options", "object": "_options", "_said": options.model_dump()}
    tx.add(kept)
    return options
