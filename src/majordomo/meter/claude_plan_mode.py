"""Plan mode: the CLI says in the conversation when it begins and when it ends, and nowhere else.

Rule: the last marker decides, for old ones stay in the history. Only where the CLI itself would put it is a marker one
(at the start of a text or right after the tag of a reminder; in a message of role ``system``, where several notices
stand one after the other, also at the start of a paragraph), so that a file or a user quoting the words changes
nothing. What the model said is not looked at.
"""

import re
from collections.abc import Hashable
from typing import Final

from majordomo.meter import claude_release as cli
from majordomo.meter.claude_body import ClaudeBody, texts

#: Most sessions whose mode a front desk remembers: 1 MB or so. The one that was asked for least lately goes first.
SESSIONS_MAX: Final = 4096

#: How much of a body is searched for markers, from its end. All the text that fits a window of a million tokens has
#: 4 MB; in longer ones stand pictures and files. Searching so much takes some 5 ms.
SEARCHED_MAX: Final = 16 << 20

_MARKERS: Final = (*cli.PLAN_ON, cli.PLAN_OFF)
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})")


def plan_mode(body: ClaudeBody, raw: bytes | bytearray, version: str | None) -> bool | None:
    """Whether the conversation is in plan mode by its own words; None if it has none.

    ``raw``: the whole body. ``version``: the client's; one from before the markers, or none, is believed to be in plan
    mode when it offers tools that only read.
    """
    if _may_have_marker(raw):
        for message in reversed(body.conversation):
            if message.role == "assistant" or not _may_have_marker(bytes(message.content)):
                continue
            for text in reversed(texts(message.content, results=True)):
                marker = _last_marker(text, notices=message.role == "system")
                if marker is not None:
                    return marker != cli.PLAN_OFF
    if not _has_markers(version):
        tools = body.tool_names()
        return bool(tools) and cli.READ_ONLY_TOOLS.issuperset(tools)
    return None


def _may_have_marker(raw: bytes | bytearray) -> bool:
    start = max(0, len(raw) - SEARCHED_MAX)
    return any(raw.rfind(trace, start) >= 0 for trace in cli.PLAN_TRACES)


def _last_marker(text: str, *, notices: bool) -> str | None:
    """The last marker in ``text``; ``notices``: the CLI itself wrote it, one notice after the other."""
    found, best = None, -1
    for marker in _MARKERS:
        at = text.rfind(marker)
        while at > best:
            if at == 0 or text.endswith(cli.REMINDER, 0, at) or (notices and text.endswith("\n\n", 0, at)):
                found, best = marker, at
                break
            at = text.rfind(marker, 0, at)
    return found


def _has_markers(version: str | None) -> bool:
    found = _VERSION.match(version or "")
    return found is not None and (int(found[1]), int(found[2])) >= cli.PLAN_MARKERS_SINCE


class SessionModes:
    """Which sessions are in plan mode, by the last request of their main loop.

    A sub-agent's conversation begins without a marker: it is in the mode of its session. Known only within this
    process, and only as long as the session is among the last ``SESSIONS_MAX``.
    """

    __slots__ = ("_modes",)

    def __init__(self) -> None:
        self._modes: dict[Hashable, bool] = {}

    def learn(self, session: Hashable, *, planning: bool) -> None:
        """The main loop of ``session`` has said its mode."""
        self._modes.pop(session, None)
        self._modes[session] = planning
        if len(self._modes) > SESSIONS_MAX:
            del self._modes[next(iter(self._modes))]

    def of(self, session: Hashable) -> bool | None:
        """The mode of ``session``; None if it is not known."""
        return self._modes.get(session)
