"""The settings of billing. Without a webhook secret billing is off: nobody pays, and nothing is limited by a plan."""

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings

from app.setting_kinds import HttpUrl, every_secret

WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{16,}")
SECRET_KEY = re.compile(r"(?:sk|rk)_(?P<mode>live|test)_[A-Za-z0-9_]{8,}")


def webhook_secrets(value: SecretStr) -> SecretStr:
    """Signing secrets of webhook endpoints, with commas between."""
    if not all(WEBHOOK_SECRET.fullmatch(one) for one in every_secret(value)):
        raise ValueError("must be one secret like whsec_…, or several with commas between")
    return value


def secret_key(value: SecretStr) -> SecretStr:
    """A secret or restricted key of Stripe's."""
    if not SECRET_KEY.fullmatch(value.get_secret_value()):
        raise ValueError("must be a key of Stripe's that begins with sk_ or rk_, then live_ or test_")
    return value


class BillingSettings(BaseSettings):
    """Where Stripe is, and what we prove ourselves and it with."""

    stripe_api_url: HttpUrl = "https://api.stripe.com"
    stripe_webhook_secret: Annotated[SecretStr, AfterValidator(webhook_secrets)] | None = None
    """The signing secrets of our webhook endpoints, newest first. Billing is on where it is set."""
    stripe_secret_key: Annotated[SecretStr, AfterValidator(secret_key)] | None = None
    """Our key at Stripe. Only workers use it: the API need not be given it."""

    @property
    def billing_on(self) -> bool:
        """Whether labels have plans here."""
        return self.stripe_webhook_secret is not None

    @property
    def stripe_secrets(self) -> list[str]:
        """Every secret that may have signed a webhook of Stripe's."""
        return every_secret(self.stripe_webhook_secret) if self.stripe_webhook_secret else []

    def check_billing(self, environment: str, *, calls_stripe: bool) -> None:
        """Raise `ValueError` where something is missing, or a key does not fit the environment."""
        live = environment == "production"
        if live and not self.billing_on:
            raise ValueError("stripe_webhook_secret: must be set in production")
        if self.stripe_secret_key is None:
            if calls_stripe and self.billing_on:
                raise ValueError("stripe_secret_key: must be set together with stripe_webhook_secret")
            return
        if not self.billing_on:
            raise ValueError("stripe_webhook_secret: must be set together with stripe_secret_key")
        found = SECRET_KEY.fullmatch(self.stripe_secret_key.get_secret_value())
        if found and (found["mode"] == "live") != live:
            wanted = "be a live key in production" if live else "be a test key outside production"
            raise ValueError(f"stripe_secret_key: must {wanted}")
