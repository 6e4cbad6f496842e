"""Forms as uploads send them (RFC 7578): the small fields, and how large the files are."""

from typing import Final

#: Most parts that are looked at: real forms have under 20.
PARTS_MAX: Final = 128
#: Longest field value, and longest header block of a part, that is read.
FIELD_LIMIT: Final = 4 << 10


def read_form(body: bytes | bytearray, content_type: str) -> tuple[dict[str, str], int] | None:
    """The text fields of a form by name, and the bytes of its files together. None if it is no form.

    Never raises; a form that is cut gives the fields before the cut.
    """
    boundary = _parameter(content_type, "boundary")
    if not boundary or len(boundary) > 200:
        return None
    mark = b"--" + boundary.encode("latin-1", "replace")
    at = body.find(mark)
    if at < 0:
        return None
    fields: dict[str, str] = {}
    files = 0
    for _ in range(PARTS_MAX):
        start = at + len(mark)
        if body[start : start + 2] == b"--":
            break
        end = body.find(b"\r\n" + mark, start)
        stop = end if end >= 0 else len(body)
        head_end = body.find(b"\r\n\r\n", start, min(stop, start + FIELD_LIMIT))
        if head_end >= 0:
            head = bytes(body[start:head_end]).decode("utf-8", "replace")
            name, is_file = _disposition(head)
            size = stop - head_end - 4
            if is_file:
                files += size
            elif name and size <= FIELD_LIMIT:
                fields[name] = bytes(body[head_end + 4 : stop]).decode("utf-8", "replace")
        if end < 0:
            break
        at = end + 2
    return fields, files


def _disposition(head: str) -> tuple[str, bool]:
    """The field's name, and whether it is a file."""
    for line in head.split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition":
            is_file = _parameter(value, "filename") is not None or _parameter(value, "filename*") is not None
            return _parameter(value, "name") or "", is_file
    return "", False


def _parameter(value: str, wanted: str) -> str | None:
    for item in value.split(";")[1:]:
        key, equals, text = item.partition("=")
        if equals and key.strip().lower() == wanted:
            return text.strip().strip('"')
    return None
