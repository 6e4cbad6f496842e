"""``majordomo demo`` as a user runs it: real processes, true figures, and nothing left behind."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

import psutil

from majordomo.demo.gateway_process import command
from majordomo.demo.traffic import Traffic

#: Seconds for a whole run on a busy machine.
DEMO_SECONDS = 120

#: What the demo says when the first batch is through.
LAST_WORDS = "Ctrl-C ends it"


def environment(temporary: Path) -> dict[str, str]:
    """The surrounding environment without settings, and temporary files in a directory that can be looked at."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAJORDOMO_")}
    return {**kept, "TMPDIR": str(temporary), "COLUMNS": "200"}


def test_once_makes_every_call_a_row_and_shows_what_it_cost(short_tmp: Path) -> None:
    data_dir = short_tmp / "kept data"
    run = [*command("demo", "--once", "--seed", "3", "--data-dir", str(data_dir))]
    done = subprocess.run(run, env=environment(short_tmp), capture_output=True, text=True, timeout=DEMO_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    calls = [call for chain in Traffic(3).first_batch() for call in chain if call.with_key]
    sent = Counter(call.headers["X-Majordomo-Feature"] for call in calls)
    for feature in sent:
        assert feature in done.stdout
    asked = command("usage", "by", "Feature", "--json", "--data-dir", str(data_dir))
    told = subprocess.run(asked, env=environment(short_tmp), capture_output=True, text=True, timeout=DEMO_SECONDS)
    assert told.returncode == 0, told.stderr
    assert {row["value"]: row["requests"] for row in json.loads(told.stdout)["rows"]} == dict(sent)


def signs_in(heard: str) -> bool:
    """Whether the link that was printed lets its follower into the dashboard."""
    found = re.search(r"(http://127\.0\.0\.1:\d+)/sign-in#(\S+)", heard)
    assert found, heard
    body = json.dumps({"link": found[2], "password": "correct horse battery"}).encode()
    asked = Request(f"{found[1]}/api/v1/session/link", body, {"Content-Type": "application/json"})
    with urlopen(asked, timeout=10) as reply:
        return bool(json.load(reply)["user"]["role"] == "admin")


def test_ctrl_c_leaves_nothing_behind(short_tmp: Path) -> None:
    demo = subprocess.Popen(
        command("demo"), env=environment(short_tmp), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        heard = ""
        assert demo.stdout is not None
        for line in demo.stdout:
            heard += line
            if LAST_WORDS in line:
                break
        assert LAST_WORDS in heard, heard
        assert signs_in(heard)
        started = psutil.Process(demo.pid).children(recursive=True)
        assert len(started) >= 4  # the scripted provider, supervisor, front desk, back office, PostgreSQL
        assert list(short_tmp.iterdir())
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(DEMO_SECONDS) == 0, rest
        assert "Traceback" not in rest
        deadline = time.monotonic() + 10
        while any(process.is_running() for process in started):
            assert time.monotonic() < deadline, [process for process in started if process.is_running()]
            time.sleep(0.05)
        assert list(short_tmp.iterdir()) == []
    finally:
        demo.kill()
        demo.wait()
        demo.stdout.close()
