"""``majordomo serve`` and the command line around it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from majordomo.cli.serve import banner
from majordomo.launch import Firsts
from majordomo.settings import Settings
from majordomo.supervisor import Running

PATIENCE = 60.0


def majordomo(*words: object, **settings: str) -> subprocess.CompletedProcess:
    """Run the command; settings by their names in capitals."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAJORDOMO_")}
    environment.update({f"MAJORDOMO_{name.upper()}": value for name, value in settings.items()})
    return subprocess.run(
        [sys.executable, "-m", "majordomo", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=PATIENCE,
    )


def test_the_gateway_serves_and_stops(tmp_path, postgres_dsn):
    """From the command to a /health that answers, and back."""
    out = tmp_path / "out.txt"
    environment = {
        **os.environ,
        "MAJORDOMO_DATA_DIR": str(tmp_path / "d"),
        "MAJORDOMO_DATABASE_URL": postgres_dsn,
        "MAJORDOMO_PRICE_FEED": "false",
    }
    with out.open("wb") as stream:
        gateway = subprocess.Popen(
            [sys.executable, "-m", "majordomo", "serve", "--port", "0"],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", out.read_text())):
            assert time.monotonic() < deadline, out.read_text()
            assert gateway.poll() is None, out.read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(f"{found[0]}/health", timeout=PATIENCE) as reply:
            assert json.load(reply)["status"] == "ok"
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(PATIENCE) == 0, out.read_text()
    finally:
        gateway.kill()
        gateway.wait()


def test_wrong_settings_are_listed_all_at_once(tmp_path):
    """Each with its key, its value and what is allowed; exit code 1."""
    ran = majordomo("serve", "--data-dir", tmp_path / "d", port="notanumber", workers="0")
    assert ran.returncode == 1
    assert "port = 'notanumber' (MAJORDOMO_PORT)" in ran.stderr
    assert "workers = '0' (MAJORDOMO_WORKERS)" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_wrong_command_line_is_exit_code_2():
    """A flag out of its bounds, a flag that does not exist, a command that does not exist."""
    for words in (("serve", "--port", "99999"), ("serve", "--nope"), ("nope",)):
        assert majordomo(*words).returncode == 2, words


def test_a_missing_configuration_file_is_an_error(tmp_path):
    """It was named, so it must be there."""
    ran = majordomo("serve", "--config", tmp_path / "none.toml")
    assert ran.returncode == 1
    assert "does not exist" in ran.stderr


def test_the_version_is_printed():
    """As other programs do it."""
    assert majordomo("--version").stdout.startswith("majordomo ")


def test_help_does_not_load_the_gateway():
    """The command line starts without the database driver, the web framework and the table printer."""
    code = (
        "import sys, majordomo.cli.app\n"
        "print([name for name in ('asyncpg', 'fastapi', 'pydantic', 'rich', 'structlog') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_file_of_the_working_directory_is_not_taken_for_a_module(tmp_path):
    """The children are started so that a stray ``asyncio.py`` does not become theirs."""
    from majordomo.supervisor import Programs

    (tmp_path / "asyncio.py").write_text("raise SystemExit('taken')")
    for program in (Programs().front_desk, Programs().back_office):
        ran = subprocess.run(
            [*program], cwd=tmp_path, input=b"", capture_output=True, check=False, env={**os.environ, "PYTHONPATH": ""}
        )
        assert b"taken" not in ran.stderr


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::1", "http://[::1]:1")],
)
def test_the_banner_shows_an_address_that_can_be_used(host, shown):
    """Also where the service listens on all addresses, or on IPv6."""
    text = banner(Settings(data_dir=Path("/d")), Running(host, 1, Firsts(), None, []))
    assert shown in text
    assert ("others can reach it" in text) == (host == "0.0.0.0")


def test_the_banner_tells_the_first_key_and_the_first_link_at_the_port_that_was_taken():
    """Both are shown once; the link leads to the page that asks for a password."""
    text = banner(
        Settings(data_dir=Path("/d"), port=0), Running("127.0.0.1", 4711, Firsts("mdm_sk_x", "LINK"), None, [])
    )
    assert "    mdm_sk_x\n" in text
    assert "    http://127.0.0.1:4711/sign-in#LINK\n" in text


def test_the_banner_repeats_the_options_that_find_this_gateway():
    """Commands to paste must not look at another data directory."""
    text = banner(Settings(data_dir=Path("/d")), Running("127.0.0.1", 1, Firsts(), None, []), " --data-dir '/my dir'")
    assert "usage requests --data-dir '/my dir'" in text


def test_the_banner_names_what_is_not_ready():
    """A gateway that serves while a part of it does not, says so."""
    text = banner(Settings(data_dir=Path("/d")), Running("127.0.0.1", 1, Firsts(), None, ["back office"]))
    assert "Not ready yet: back office" in text
