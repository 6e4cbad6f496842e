"""Metadata from file and flags: who wins, and what a mistake is told."""

import json
from pathlib import Path

import pytest

from majordomo.companion.metadata import MetadataError, read


def write(folder: Path, content: object) -> None:
    """Write ``.majordomo/metadata.json``: a text as it is, anything else as JSON."""
    path = folder / ".majordomo" / "metadata.json"
    path.parent.mkdir()
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def test_without_file_and_flags_there_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, ()) == {}


def test_a_flag_wins_over_the_file_whatever_the_case_of_its_key(tmp_path: Path) -> None:
    write(tmp_path, {"Project": "backend-api", "Team": "platform"})
    assert read(tmp_path, ("team=blue", "Developer=alice")) == {
        "Project": "backend-api",
        "team": "blue",
        "Developer": "alice",
    }


def test_a_value_may_hold_anything_that_fits_on_a_line(tmp_path: Path) -> None:
    assert read(tmp_path, ("Query=a=b, ü ",)) == {"Query": "a=b, ü"}


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    write(tmp_path, '\ufeff{"Team": "blue"}')
    assert read(tmp_path, ()) == {"Team": "blue"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"Team": "blue",\n  oops}', "line 2, column 3: not valid JSON"),
        ("", "line 1, column 1: not valid JSON"),
        ("[1]", "must hold one object"),
        ({"Team": 1}, 'key "Team": the value must be a string in quotes, and is a number'),
        ({"Team": True}, 'key "Team": the value must be a string in quotes, and is true or false'),
        ({"Team": None}, 'key "Team": the value must be a string in quotes, and is null'),
        ({"Team": ["a"]}, 'key "Team": the value must be a string in quotes, and is a list'),
        ({"Team": {"a": "b"}}, 'key "Team": the value must be a string in quotes, and is an object'),
        ({"Team": "two\nlines"}, 'key "Team": the value must be one line'),
        ({"Team": ""}, 'key "Team": the value must have 1 to 8192 bytes'),
        ({"Te am": "blue"}, 'key "Te am": a key consists of letters'),
        ({"Key": "x"}, 'key "Key": X-Majordomo-Key is a header of the gateway\'s own'),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_file_and_key(tmp_path: Path, content: object, told: str) -> None:
    write(tmp_path, content)
    with pytest.raises(MetadataError) as wrong:
        read(tmp_path, ())
    assert told in str(wrong.value)
    assert str(tmp_path / ".majordomo" / "metadata.json") in str(wrong.value)


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("Team", "--metadata 'Team' is not KEY=VALUE"),
        ("=blue", "a key consists of letters"),
        ("Team=", "the value must have 1 to 8192 bytes"),
        ("Team=a\r\nX-Majordomo-Key: b", "the value must be one line"),
        ("ClaudeCode-Session-Id=1", "is a header of the gateway's own"),
        (f"Team={'x' * 9000}", "the value must have 1 to 8192 bytes"),
    ],
)
def test_a_mistake_in_a_flag_is_told(tmp_path: Path, flag: str, told: str) -> None:
    with pytest.raises(MetadataError) as wrong:
        read(tmp_path, (flag,))
    assert told in str(wrong.value)


def test_more_than_a_gateway_records_is_told(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="65 metadata keys are too many"):
        read(tmp_path, [f"K{number}=v" for number in range(65)])
