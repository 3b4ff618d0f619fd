"""The settings of usage analytics. Without a measurement id nothing is passed on to Google."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from app.setting_kinds import HttpUrl


class AnalyticsSettings(BaseSettings):
    """Where Google Analytics is, and what we prove ourselves with."""

    ga_url: HttpUrl = "https://www.google-analytics.com"
    ga_measurement_id: str = Field(default="", pattern=r"^(?:G-[A-Z0-9]{4,20})?$")
    """Our property, as `G-…`. Usage is passed on where it is set: with the consent of whoever it is about."""
    ga_api_secret: SecretStr | None = None
    """The Measurement Protocol secret of that property's stream. Only workers use it: the API need not be given it."""

    @property
    def forwards_usage(self) -> bool:
        """Whether usage is passed on."""
        return bool(self.ga_measurement_id)

    def check_analytics(self) -> None:
        """Raise `ValueError` where a worker lacks one of the two."""
        if bool(self.ga_measurement_id) != (self.ga_api_secret is not None):
            missing = "ga_api_secret" if self.ga_measurement_id else "ga_measurement_id"
            other = "ga_measurement_id" if self.ga_measurement_id else "ga_api_secret"
            raise ValueError(f"{missing}: must be set together with {other}")
