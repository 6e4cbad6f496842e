"""What a Claude Code that is started here would see: the shell's variables, and the settings files that beat them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from majordomo.checkup.finding import Finding, fail, ok
from majordomo.companion import claude_files, custom_headers
from majordomo.companion.claude_files import ClaudeFileError, Source
from majordomo.companion.custom_headers import Header
from majordomo.companion.settings_entry import BASE_URL

SHELL = "the shell"


class Setting(NamedTuple):
    """One variable's value, and who gives it."""

    value: str
    origin: str  # the shell, or a path


class Surroundings:
    """Everything that counts for a Claude Code started in ``project``."""

    def __init__(self, environment: Mapping[str, str], home: Path, project: Path, managed: Path | None = None) -> None:
        self.environment = environment
        self.home = home
        self.project = project
        #: Settings files that exist, weakest first.
        self.files: list[Source] = []
        self._findings: list[Finding] = []
        self._given: dict[str, list[Setting]] = {name: [Setting(value, SHELL)] for name, value in environment.items()}
        for source in claude_files.sources(environment, home, project, managed):
            self._read(source)

    def _read(self, source: Source) -> None:
        try:
            env = claude_files.read_object(source.path).get("env", {})
        except ClaudeFileError as wrong:
            self._findings.append(
                fail("settings", str(wrong), "correct it: until then Claude Code ignores the whole file without a word")
            )
            return
        if not source.path.exists():
            return
        self.files.append(source)
        if not isinstance(env, dict):
            self._findings.append(fail("settings", f'{source.path}: "env" must be an object', "correct it"))
            return
        for name, value in env.items():
            if isinstance(value, str | int | float):
                self._given.setdefault(name, []).append(Setting(str(value), str(source.path)))

    def settings(self) -> Iterator[Finding]:
        """Whether the settings files can be read."""
        yield from self._findings
        if not self._findings:
            yield ok(
                "settings", ", ".join(str(source.path) for source in self.files) or "no settings file of Claude Code"
            )

    def given(self, name: str) -> list[Setting]:
        """Everybody who sets a variable, weakest first; the last one counts, the others count for nothing."""
        return [setting for setting in self._given.get(name, []) if setting.value]

    def value(self, name: str) -> str | None:
        """The value that counts."""
        given = self.given(name)
        return given[-1].value if given else None

    @property
    def base_url(self) -> str | None:
        """Where Claude Code would send its requests, if that is set at all."""
        return self.value(BASE_URL)

    @property
    def headers(self) -> list[Header]:
        """The custom headers that it would send."""
        return custom_headers.parse(self.value(custom_headers.VARIABLE) or "")

    @property
    def key(self) -> str | None:
        """The gateway's key that it would send."""
        return custom_headers.value_of(self.headers, custom_headers.KEY)
