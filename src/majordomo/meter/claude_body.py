"""The body of a Messages request, as far as Claude Code's details need it; what is long stays undecoded."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from majordomo.meter.decoding import ABSENT, MALFORMED, any_value
from majordomo.meter.request import JsonBody

#: Longest content of one message, or system prompt, that is decoded. The longest texts that fit a window of a million
#: tokens have some 4 MB; pictures and files are longer, and no text of the CLI's own is.
CONTENT_LIMIT: Final = 8 << 20


class Block(msgspec.Struct, gc=False):
    """One block of a message or of the system prompt."""

    type: str | None = None
    text: str | None = None
    content: msgspec.Raw = ABSENT  # of a tool's result


class Message(msgspec.Struct, gc=False):
    """One message of the conversation."""

    role: str | None = None
    content: msgspec.Raw = ABSENT


class Named(msgspec.Struct, gc=False):
    """A tool, the choice of one, or a kind of thinking."""

    name: str | None = None
    type: str | None = None


class Schema(msgspec.Struct, gc=False):
    """The JSON schema of an answer: only its members' names matter."""

    properties: dict[str, msgspec.Raw] | None = None


class Format(msgspec.Struct, gc=False):
    """The form that an answer must have."""

    schema: Schema | None = None


class OutputConfig(msgspec.Struct, gc=False):
    """How the model is to answer."""

    effort: str | None = None
    format: Format | None = None


class ClaudeBody(JsonBody, gc=False):
    """The body."""

    system: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT
    messages: list[Message] | None = None
    tool_choice: Named | None = None
    thinking: Named | None = None
    output_config: OutputConfig | None = None

    @property
    def conversation(self) -> Sequence[Message]:
        """The messages that could be read."""
        return self.messages or ()

    def tool_names(self) -> list[str]:
        """The names of the tools offered; empty if there are none or they cannot be read."""
        try:
            return [tool.name for tool in _TOOLS.decode(self.tools) if tool.name] if self.has_tools else []
        except MALFORMED:
            return []

    @property
    def has_tools(self) -> bool:
        """Whether any tool is offered."""
        return bytes(memoryview(self.tools)[:4]).rstrip() not in (b"", b"[]", b"[ ]", b"null")


_CONTENT: Final = msgspec.json.Decoder(str | list[Block])
_TOOLS: Final = msgspec.json.Decoder(list[Named])


def texts(content: msgspec.Raw, *, results: bool = False) -> list[str]:
    """The texts of a system prompt or a message, in order; with ``results`` those inside tools' results, too."""
    raw = bytes(content)
    if not raw or len(raw) > CONTENT_LIMIT:
        return []
    try:
        blocks = _CONTENT.decode(raw)
    except MALFORMED:
        blocks = _repaired(raw)
    if isinstance(blocks, str):
        return [blocks]
    found: list[str] = []
    for block in blocks:
        if block.text is not None:
            found.append(block.text)
        elif results and block.type == "tool_result":
            found += texts(block.content)
    return found


def _repaired(raw: bytes) -> str | list[Block]:
    """The same of content that is not as it should be: lone surrogates, blocks of a wrong kind."""
    value: Any = any_value(raw)
    if isinstance(value, str):
        return value
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    return [Block(row.get("type"), row["text"]) for row in rows if isinstance(row.get("text"), str)]
