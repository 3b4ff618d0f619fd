"""Structured logs: one JSON object a line, with secrets and personal data taken out by type and by pattern.

An exception is logged as its class and the lines it passed, never its text: drivers and parsers put data into it.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog
from pydantic import SecretBytes, SecretStr

Event = MutableMapping[str, Any]
MASK = "[redacted]"
NEVER = frozenset(
    {"access_token", "authorization", "client_secret", "code", "content", "cookie", "email", "password"}
    | {"refresh_token", "secret", "set-cookie", "state", "text", "token", "totp"}
)
"""Names of fields whose values are never logged."""
PATTERNS = re.compile(
    r"""(?x)
    \b(?:IGAA|IGQ|EAA)[\w-]{12,}                                    # Meta's tokens
    | \bey[\w-]{8,1024}\.[\w-]+\.[\w-]*                             # a JWT
    | \bso[rkt]_[\w-]{16,}                                          # our refresh tokens, API secrets, links' tokens
    | \b(?:[srp]k_(?:live|test)|whsec)_[\w+/=-]{8,}                   # Stripe's keys and webhook secrets
    | (?i:bearer)\s+[\w.~+/=-]+
    | (?i:access_token|client_secret|code|state|signed_request|token|password|hub\.verify_token)
      (?:=|["']\s*:\s*)                                             # in an address or a form; in JSON or a repr
      (?:b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|[^&\s"']+)
    | [\w.+-]{1,64}@[\w-]+\.[\w.-]+                                 # a mail address (RFC 5321: 64 before the @)
    | \b\w+://[^/\s:@"']*:[^/\s@"']+@                               # user and password in an address
    """
)
QUIET = ("httpx", "httpcore", "pymongo", "motor", "arq", "stripe", "uvicorn.access", "asyncio")


def configure(level: str = "INFO") -> None:
    """Send every logger of the process, third parties' too, through one redacting formatter to standard output."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_text,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def redact(_logger: Any, _method: str, event: Event) -> dict[str, Any]:
    """Mask what must not be read in a log, at any depth."""
    return {key: value if key.startswith("_") else _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if key.lower() in NEVER or isinstance(value, bytes | bytearray | SecretStr | SecretBytes):
        return MASK
    if isinstance(value, str):
        return PATTERNS.sub(MASK, value)
    if isinstance(value, dict):
        return {PATTERNS.sub(MASK, str(k)): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item) for item in value]
    if isinstance(value, int | float | bool) or value is None:
        return value
    return PATTERNS.sub(MASK, str(value))


def _exception_without_text(_logger: Any, _method: str, event: Event) -> Event:
    exc = event.pop("exc_info", None)
    if exc is True:
        exc = sys.exc_info()
    error = exc[1] if isinstance(exc, tuple) else exc
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        event["error"] = type(error).__name__
        event["at"] = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
    event.pop("exc_text", None)
    return event
