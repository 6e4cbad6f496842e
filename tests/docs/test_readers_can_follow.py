"""What the documents tell a reader to type or to open exists."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import typer.main

from majordomo.cli.app import app

PINNED = re.compile(r"^[A-Za-z0-9._-]+==[^ ;]+( ; .+)?$")


def test_every_make_target_that_is_named_exists(documents: Any, root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {line.split()[1] for _, line in documents.commands() if line.startswith("make ") and len(line.split()) > 1}
    assert {"run", "test"} <= named
    assert named <= targets


def test_every_command_of_the_gateway_that_is_named_exists_with_its_options(documents: Any) -> None:
    lines = [(page, line) for page, line in documents.commands() if line.startswith("majordomo ")]
    assert lines
    for page, line in lines:
        if page == "docs/cli.md" or "…" in line:  # made from the code itself; a family of commands
            continue
        words = shlex.split(line.partition(" | ")[0].partition(";")[0])
        assert _known(words[1:]), f"{page}: {line}"


def test_every_link_leads_to_a_file_and_every_anchor_to_a_heading(documents: Any, root: Path) -> None:
    for page, text in documents.pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            path, _, anchor = target.partition("#")
            file = (root / page).parent / path if path else root / page
            assert file.exists(), f"{page} links to {target}"
            if anchor:
                assert anchor in _anchors(file.read_text("utf-8")), f"{page} links to {target}"


def test_every_dependency_has_exactly_one_version_and_no_origin(root: Path) -> None:
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 20
    assert [line for line in pins if not PINNED.match(line)] == []
    pinned = {_plain_name(line.partition("==")[0]) for line in pins}
    wanted = re.findall(r'^    "([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?[><=~]', (root / "pyproject.toml").read_text(), re.M)
    assert {_plain_name(name) for name in wanted} <= pinned, "run `make lock`"


def test_no_page_names_a_place_on_the_machine_it_was_written_on(documents: Any) -> None:
    for page, text in documents.pages.items():
        assert not re.search(r"(?<![\w.])/(root|home/\w+|work)/", text), page


def _known(words: list[str]) -> bool:
    """Whether the words name a command, and every option among them is one of its own."""
    command: Any = typer.main.get_command(app)
    context = click.Context(command)
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        command = command.get_command(context, words.pop(0))
        if command is None:
            return False
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
    if command.context_settings.get("ignore_unknown_options"):
        return True
    return all(word.partition("=")[0] in options for word in words if word.startswith("-"))


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
