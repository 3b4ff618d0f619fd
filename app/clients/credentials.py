"""Secrets in the clear, on their way from the vault into one call."""

from typing import NoReturn

from app.models.features import UsedFor


class WrongUse(Exception):
    """A call tried to use a secret that was opened for something else: a mistake of ours."""


class Opened:
    """A secret in the clear, for the one function that uses it. It cannot be printed, copied or pickled.

    It knows what it was opened for, and every call says what it is for: a token of one feature serves no other.
    """

    __slots__ = ("__value", "used_for")

    def __init__(self, value: str, used_for: UsedFor) -> None:
        self.__value, self.used_for = value, used_for

    def reveal(self, *uses: UsedFor) -> str:
        """The secret itself, for one of these uses. Raises `WrongUse`."""
        if self.used_for not in uses:
            raise WrongUse(f"opened for {self.used_for}, wanted for {' or '.join(uses)}")
        return self.__value

    def __repr__(self) -> str:
        return f"Opened({self.used_for}, **********)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an opened secret stays where it was opened")
