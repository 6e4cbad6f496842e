"""Text as PostgreSQL can hold it, and as COPY reads it.

No caller can switch off the accounting of its own request: what a column cannot hold is replaced or cut, never refused.
"""

from collections.abc import Sequence

REPLACEMENT = "\ufffd"
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})

NULL = "\\N"


def safe(value: str, limit: int) -> str:
    """At most ``limit`` characters, without NUL and lone surrogates."""
    if len(value) > limit:
        value = value[:limit]
    if value.isprintable():  # true of nearly all text, and never where there is a NUL or a surrogate
        return value
    return value.replace("\x00", REPLACEMENT).encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def cell(value: str | None, limit: int) -> str:
    """A field of COPY's text format."""
    if value is None:
        return NULL
    value = safe(value, limit)
    if value.isprintable() and "\\" not in value:
        return value
    return value.translate(_COPY_ESCAPES)


def json_cell(text: str) -> str:
    """JSON text as a field of COPY's text format."""
    return text.translate(_COPY_ESCAPES) if "\\" in text or not text.isprintable() else text


def array_cell(values: Sequence[str], limit: int) -> str:
    """A text[] as a field of COPY's text format."""
    return json_cell(text_array([safe(value, limit) for value in values]))


def text_array(values: Sequence[str]) -> str:
    """A text[] as PostgreSQL writes it: every element quoted."""
    joined = "\x00".join(values)  # no safe text holds a NUL
    if not joined:
        return '{""}' if values else "{}"
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + escaped.replace("\x00", '","') + '"}'
