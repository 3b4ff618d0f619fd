"""What a key ring may raise."""


class BadRing(Exception):
    """A ring file that is missing or cannot be read. Its text names the file, never a key."""


class CannotUnwrap(Exception):
    """The data key does not open with this ring and this binding, and never will."""


class RingUnavailable(Exception):
    """The ring does not answer now, or does not seal now: try again later. It says nothing about what is sealed."""
