"""The user's page names every option, and no other."""

import argparse
import re
from pathlib import Path

import pytest

from majordomo.companion.commands import deliver, start, stop
from majordomo.companion.commands import exec as exec_command

PAGE = Path(__file__).parents[2] / "docs" / "companion.md"


@pytest.mark.parametrize("command", [deliver, exec_command, start, stop])
def test_every_option_is_on_the_page(command: object) -> None:
    parser: argparse.ArgumentParser = command.parser()  # type: ignore[attr-defined]
    options = {option for action in parser._actions for option in action.option_strings} - {"-h", "--help"}
    assert options
    text = PAGE.read_text("utf-8")
    assert [option for option in sorted(options) if not re.search(rf"`{option}[ `]", text)] == []
