"""Logging: structured lines on standard error. No key, credential or body is ever passed to a logger."""

import logging
import sys
from typing import Any, Literal, TextIO, cast

# structlog takes rich along where it is installed: a sixth of a second at each start, and tracebacks that show local
# variables, keys among them. It does without if rich cannot be imported, so for that moment it cannot.
_rich = sys.modules.pop("rich", None)
sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    del sys.modules["rich"]
    if _rich is not None:
        sys.modules["rich"] = _rich

Logger = Any  # structlog's bound loggers answer to any level's name


class _StandardError:
    """Standard error as it is when a line is written: loggers are kept, and a stream may be replaced or closed."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def set_up(level: str = "info", form: Literal["auto", "text", "json"] = "auto") -> None:
    """Send every log line of this process to standard error, as text for people or JSON for programs."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )


def logger(part: str) -> Logger:
    """A logger whose lines carry the name of the part they come from."""
    return structlog.get_logger(part=part)
