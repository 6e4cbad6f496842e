"""Random sessions of Claude Code: what the model will say in each turn, what goes wrong on the way, and the director
that plays it to whoever asks.

Everything is drawn beforehand from one seed. Who asks is known by a mark in the task of a sub-agent; the n-th success
of an agent is its n-th step, however often the tool must try. What a step does not foresee (a reply that the tool takes
as final although it was cut, a further question of its own) gets a plain closing answer.
"""

import itertools
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from claude_cli.cli import ClaudeCode, Result
from claude_cli.provider import ScriptedProvider, usage
from majordomo.demo.reply import Ask
from majordomo.demo.script import Script, ToolCall

#: Models that the tool and the price catalogue hold at the same prices, so that the two ledgers differ only where
#: something is not counted.
MODELS = ("claude-opus-4-8", "claude-opus-4-6", "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-haiku-4-5-20251001")

#: Those of them that have an auto mode.
AUTO_MODELS = MODELS[:3]

_ENCODINGS = (None, None, None, "accepted", "gzip", "br", "zstd", "deflate")
_MARK = re.compile(r"\[\[agent (\S+?)\]\]")

#: Deepest nesting: main loop, sub-agent, its own sub-agent.
_DEPTH = 2


@dataclass(frozen=True)
class Step:
    """What the model says next, and the faults that come before it can."""

    script: Script
    faults: tuple[Script, ...] = ()


@dataclass(frozen=True)
class Turn:
    """One prompt of the user."""

    prompt: str
    steps: tuple[Step, ...]
    model: str | None = None  # changed to, before the prompt
    mode: str | None = None  # permission mode changed to, before the prompt


@dataclass
class Scenario:
    """A whole session: the turns of the user, and the work of every sub-agent."""

    name: str
    arguments: tuple[str, ...]
    turns: list[Turn]
    agents: dict[str, tuple[Step, ...]] = field(default_factory=dict)  # by mark

    def __repr__(self) -> str:
        return f"<Scenario {self.name}: {len(self.turns)} turns, {len(self.agents)} sub-agents>"


class Author:
    """Writes scenarios. The same seed writes the same ones."""

    def __init__(self, seed: int, number: int) -> None:
        self.dice = Random(f"{seed}/{number}")
        self.name = f"{seed}/{number}"
        self._numbers = itertools.count(1)
        self._tokens = iter(self.dice.sample(range(100, 30_000), 2_000))  # each input count once: it identifies a row
        self._agents: dict[str, tuple[Step, ...]] = {}

    def scenario(self) -> Scenario:
        """A session of two to five turns."""
        dice = self.dice
        automatic = dice.random() < 0.35
        mode = "auto" if automatic else "default"
        turns = []
        planning = False
        for number in range(dice.randint(2, 5)):
            change = None
            if dice.random() < 0.35:
                planning = not planning
                change = "plan" if planning else mode
            model = dice.choice(AUTO_MODELS if automatic else MODELS) if number == 0 or dice.random() < 0.25 else None
            turns.append(Turn(f"Turn {number + 1}: go on.", self._steps(0), model, change))
        arguments = ("--permission-mode", mode, "--allowedTools", "WebSearch,Bash(echo:*),Read,Agent")
        return Scenario(self.name, arguments, turns, self._agents)

    def usage(self, **more: Any) -> dict[str, Any]:
        """Some usage, with an input count of its own."""
        dice = self.dice
        short, long = dice.choice(((0, 0), (dice.randint(1, 9_000), 0), (0, dice.randint(1, 9_000)), (731, 407)))
        read = dice.choice((0, dice.randint(1, 40_000)))
        return usage(next(self._tokens), dice.randint(1, 900), read=read, short=short, long=long, **more)

    def dressed(self, **said: Any) -> Script:
        """A successful answer in some dress: encoding, pieces, thinking."""
        dice = self.dice
        said.setdefault("usage", self.usage())
        if dice.random() < 0.25:
            said["thinking"] = "Let me see."
        if dice.random() < 0.1:
            said["redacted_thinking"] = True
        return Script(
            encoding=dice.choice(_ENCODINGS),
            piece_bytes=dice.choice((None, None, None, 7, 1_000)),
            events=dice.randint(1, 5),
            **said,
        )

    def _steps(self, depth: int) -> tuple[Step, ...]:
        count = self.dice.randint(0, 3 if depth == 0 else 2)
        steps = [self._step(self._calls(depth)) for _ in range(count)]
        return (*steps, self._step(()))

    def _step(self, tools: tuple[ToolCall, ...]) -> Step:
        dice = self.dice
        faults = []
        while dice.random() < 0.15 and len(faults) < 2:
            faults.append(self._fault())
        script = self.dressed(tools=tools, text=dice.choice(("", "Working.", "Working on it, in a few words.")) or None)
        if not tools and dice.random() < 0.05:
            script = self.dressed(text="This goes on and", stop_reason="max_tokens")
        return Step(script, tuple(faults))

    def _fault(self) -> Script:
        dice = self.dice
        kind = dice.choice(("529", "overloaded", "cut", "cut", "cut", "reset", "error", "error"))
        if kind == "529":
            return Script(status=529, error_message="Overloaded.")
        if kind in ("overloaded", "error"):
            told = "overloaded_error" if kind == "overloaded" else dice.choice(("api_error", "overloaded_error"))
            after = 0 if kind == "overloaded" else dice.randint(0, 9)
            return Script(text="So far", usage=self.usage(), error_after=after, error_type=told)
        return Script(
            text="So far, so good, and then",
            usage=self.usage(),
            thinking=dice.choice((None, "Let me see.")),
            break_after=dice.randint(0, 11),
            break_with="reset" if kind == "reset" else "close",
            event_delay_ms=20,  # what the tool has not read yet when a connection breaks, it never sees
        )

    def _calls(self, depth: int) -> tuple[ToolCall, ...]:
        dice = self.dice
        kinds = ["echo", "read", "search", "checked", "unknown"]
        if depth < _DEPTH:
            kinds += ["agent", "agent", "explore", "two agents"]
        kind = dice.choice(kinds)
        if kind == "echo":
            return (ToolCall("Bash", {"command": f"echo {next(self._numbers)}"}),)
        if kind == "read":
            missing = ToolCall("Read", {"file_path": f"/nowhere/{next(self._numbers)}"})
            return (missing, ToolCall("Read", {"file_path": "/etc/hostname"}))
        if kind == "search":
            return (ToolCall("WebSearch", {"query": f"rain {next(self._numbers)}"}),)
        if kind == "checked":
            return (ToolCall("Bash", {"command": "git push origin main"}),)
        if kind == "unknown":
            return (ToolCall("NoSuchTool", {}),)
        count = 2 if kind == "two agents" else 1
        return tuple(
            self._agent(depth + 1, "Explore" if kind == "explore" else "general-purpose") for _ in range(count)
        )

    def _agent(self, depth: int, kind: str) -> ToolCall:
        mark = f"{next(self._numbers)}"
        # Explore has no sub-agents of its own.
        self._agents[mark] = self._steps(_DEPTH if kind == "Explore" else depth)
        told = {"description": "A part of it", "prompt": f"[[agent {mark}]] Do this part.", "subagent_type": kind}
        return ToolCall("Agent", told)


class Director:
    """Plays a scenario: the ``play`` of a provider."""

    def __init__(self, scenario: Scenario, author: Author | None = None) -> None:
        self._author = author or Author(0, 0)  # of what no step foresees
        self._work: dict[str, deque[Script]] = {}
        for mark, steps in scenario.agents.items():
            self._work[mark] = deque(_attempts(steps))

    def begin(self, turn: Turn) -> None:
        """The main loop's work for a turn. What was left of the one before is given up."""
        self._work["main"] = deque(_attempts(turn.steps))

    def __call__(self, ask: Ask, kind: str) -> Script:
        if kind in ("other", "count"):
            return Script()
        if kind == "classifier":
            return Script(text="<block>no", usage=self._author.usage())
        if kind == "web search":
            searches = self._author.dice.randint(1, 3)
            found = self._author.usage(searches=searches)
            return Script(text="Rain is expected.", web_searches=searches, usage=found)
        if kind == "title":
            return Script(text='{"title":"Going on"}', usage=self._author.usage())
        work = self._work.get(self._who(ask, kind))
        return work.popleft() if work else Script(text="That is all.", usage=self._author.usage())

    def _who(self, ask: Ask, kind: str) -> str:
        if kind == "main":
            return "main"
        found = _MARK.search(json.dumps(ask.json["messages"][0]))
        return found[1] if found else ""


def _attempts(steps: tuple[Step, ...]) -> Iterator[Script]:
    for step in steps:
        yield from step.faults
        yield step.script


@dataclass(frozen=True)
class Performance:
    """How a session went, as the tool tells it."""

    result: Result  # of the last turn; its cost is of all
    last_words: str  # what was written to standard error


def perform(scenario: Scenario, director: Director, provider: ScriptedProvider, claude: ClaudeCode) -> Performance:
    """Play a scenario with the tool, turn by turn. Whether a request was made in plan mode is noted in the ledger."""
    provider.play = director
    planning = False
    with claude.conversation(*scenario.arguments) as conversation:
        for turn in scenario.turns:
            if turn.model is not None:
                conversation.set_model(turn.model)
            if turn.mode is not None:
                conversation.set_mode(turn.mode)
                planning = turn.mode == "plan"
            provider.truth = {"planning": planning}
            director.begin(turn)
            result = conversation.say(turn.prompt)
        conversation.end()
    return Performance(result, "".join(conversation.last_words))
