"""``start`` and ``stop``: a proxy that is left running, its files, and what is wrong with them."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from companion_process import ASKING, PATIENCE, Home, Ran
from gateway_fixture import Gateway
from gateway_stand_in import GatewayStandIn

from majordomo.demo.provider_process import ProviderProcess

KEY = "mdm_sk_" + "k" * 43


def sourced(home: Home, env_file: Path, **env: str) -> Ran:
    """Send one request from a shell that has read the env file."""
    script = f'. "{env_file}" && exec "$PYTHON" -c "$ASKING" "$REQUESTS"'
    variables = home.environment(PYTHON=sys.executable, ASKING=ASKING, REQUESTS="[{}]", **env)
    done = subprocess.run(["sh", "-c", script], env=variables, capture_output=True, text=True, timeout=PATIENCE)
    return Ran(done.returncode, done.stdout, done.stderr)


def processes_of(pid: int) -> list[psutil.Process]:
    """A companion and who clears up after it."""
    companion = psutil.Process(pid)
    return [companion, *companion.children(recursive=True)]


def test_the_guides_way_start_source_stop(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    pid_file, env_file = home.work / "companion.pid", home.work / "a name with 'quotes'.env"
    started = home.run(
        *("start", "--gateway", gateway.base_url, "--api-key", gateway.key, "--metadata", f"Test-Case={tag}"),
        *("--pid-file", str(pid_file), "--env-file", str(env_file), "--detach"),
    )
    url = started.out.strip()
    assert started.code == 0
    assert url.startswith("http://127.0.0.1:")
    assert f"export ANTHROPIC_BASE_URL={url}\n" in env_file.read_text()
    assert stat.S_IMODE(env_file.stat().st_mode) == stat.S_IMODE(pid_file.stat().st_mode) == 0o600
    assert gateway.key not in env_file.read_text()
    family = processes_of(int(pid_file.read_text()))
    asked = sourced(home, env_file, NO_PROXY="example.com", ENABLE_TOOL_SEARCH="false")
    assert [reply["status"] for reply in asked.replies] == [200]
    assert asked.seen["NO_PROXY"] == "127.0.0.1,localhost,example.com"
    assert asked.seen["ENABLE_TOOL_SEARCH"] == "false"
    assert sourced(home, env_file).seen["ENABLE_TOOL_SEARCH"] == "true"
    stopped = home.run("stop", "--pid-file", str(pid_file))
    assert (stopped.code, stopped.err) == (0, "")
    assert not pid_file.exists() and not env_file.exists()
    assert psutil.wait_procs(family, PATIENCE)[1] == []
    (session,) = {row["claude_session_id"] for row in gateway.rows(tag, 2)}
    ended = gateway.sql("SELECT ended_by, total_requests FROM claude_sessions WHERE id = $1", session)[0]
    assert (ended["ended_by"], ended["total_requests"]) == ("owner", 2)


def test_in_the_foreground_it_prints_its_url_and_ends_on_ctrl_c_with_one_line(
    home: Home, provider: ProviderProcess
) -> None:
    pid_file = home.work / "companion.pid"
    running = home.popen("start", "--standalone", "--pid-file", str(pid_file), env={"ANTHROPIC_BASE_URL": provider.url})
    assert running.stdout is not None
    assert running.stdout.readline().startswith("http://127.0.0.1:")
    assert int(pid_file.read_text()) == running.pid
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
    assert err.startswith("majordomo-companion: 0 requests, ")
    assert not pid_file.exists()


def test_several_run_at_once_each_with_a_session_and_a_port_of_its_own(home: Home) -> None:
    with GatewayStandIn() as stand_in:
        urls = []
        for number in range(3):
            started = home.run(
                *("start", "--gateway", stand_in.url, "--pid-file", str(home.work / f"{number}.pid"), "--detach"),
                env={"MAJORDOMO_API_KEY": KEY},
            )
            urls.append(started.out)
        ids = [body["id"] for path, body in stand_in.sessions() if path.endswith("claude-sessions")]
        for number in range(3):
            assert home.run("stop", "--pid-file", str(home.work / f"{number}.pid")).code == 0
        ends = [path.split("/")[-2] for path, _ in stand_in.sessions() if path.endswith("/end")]
    assert len(set(urls)) == len(set(ids)) == 3
    assert sorted(ends) == sorted(ids)
    assert list(home.work.iterdir()) == []


def test_killed_it_leaves_neither_file_nor_session(home: Home) -> None:
    pid_file, env_file = home.work / "companion.pid", home.work / "companion.env"
    with GatewayStandIn() as stand_in:
        home.run(
            *("start", "--gateway", stand_in.url, "--pid-file", str(pid_file), "--env-file", str(env_file), "--detach"),
            env={"MAJORDOMO_API_KEY": KEY},
        )
        family = processes_of(int(pid_file.read_text()))
        family[0].kill()
        assert psutil.wait_procs(family, PATIENCE)[1] == []
        assert list(home.work.iterdir()) == []
        assert stand_in.sessions()[-1][0].endswith("/end")


# -- what is wrong gets one line, exit code 1, and leaves nothing -----------------------------------------------------


def only_line(ran: Ran) -> str:
    """The one line of a command that could not do what it was told."""
    assert ran.code == 1, ran
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    return line


def test_a_stale_pid_file(home: Home) -> None:
    pid_file, env_file = home.work / "companion.pid", home.work / "companion.env"
    pid_file.write_text(f"{os.getpid()}\n")  # a process that lives, and never was a companion
    started = home.run("start", "--standalone", "--pid-file", str(pid_file), "--env-file", str(env_file))
    assert f"stop --pid-file {pid_file}` removes it" in only_line(started)
    assert not env_file.exists()
    assert "is gone already" in only_line(home.run("stop", "--pid-file", str(pid_file)))
    assert list(home.work.iterdir()) == []


def test_a_pid_file_in_use(home: Home) -> None:
    pid_file = home.work / "companion.pid"
    home.run("start", "--standalone", "--pid-file", str(pid_file), "--detach")
    before = pid_file.read_text()
    assert f"(process {before.strip()}) runs already" in only_line(
        home.run("start", "--standalone", "--pid-file", str(pid_file))
    )
    assert pid_file.read_text() == before
    assert home.run("stop", "--pid-file", str(pid_file)).code == 0


def test_of_many_that_start_at_once_with_one_pid_file_one_runs(home: Home) -> None:
    pid_file = home.work / "companion.pid"
    started = [home.popen("start", "--standalone", "--pid-file", str(pid_file), "--detach") for _ in range(6)]
    said = [one.communicate(timeout=PATIENCE) for one in started]
    codes = [one.returncode for one in started]
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]
    assert all(len(err.splitlines()) == code for (_, err), code in zip(said, codes, strict=True))
    family = processes_of(int(pid_file.read_text()))
    assert home.run("stop", "--pid-file", str(pid_file)).code == 0
    assert psutil.wait_procs(family, PATIENCE)[1] == []
    assert list(home.work.iterdir()) == []


@pytest.mark.parametrize("content", ["", "no number", "12\nexport SECRET=1"])
def test_a_file_that_is_no_pid_file_is_left_alone(home: Home, content: str) -> None:
    path = home.work / "notes.txt"
    path.write_text(content)
    assert "is not the PID file of a companion" in only_line(home.run("stop", "--pid-file", str(path)))
    assert "is not the PID file of a companion" in only_line(home.run("start", "--standalone", "--pid-file", str(path)))
    assert path.read_text() == content


def test_a_file_that_is_no_env_file_is_left_alone(home: Home) -> None:
    profile = home.path / ".bashrc"
    profile.write_text("alias ll='ls -l'\n")
    ran = home.run("start", "--standalone", "--pid-file", str(home.work / "p"), "--env-file", str(profile))
    assert "is not the env file of a companion" in only_line(ran)
    assert profile.read_text() == "alias ll='ls -l'\n"
    assert list(home.work.iterdir()) == []


def test_a_taken_port(home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for words in (("start", "--pid-file", str(home.work / "p")), ("exec",)):
            more = ("--", "touch", "started") if words == ("exec",) else ()
            ran = home.run(*words, "--standalone", "--port", str(port), *more)
            assert f"port {port} on 127.0.0.1 is taken" in only_line(ran)
    assert list(home.work.iterdir()) == []


def test_a_key_that_the_gateway_refuses(home: Home) -> None:
    with GatewayStandIn() as stand_in:
        stand_in.refuses_key = True
        ran = home.run(
            *("start", "--gateway", stand_in.url, "--pid-file", str(home.work / "p"), "--detach"),
            env={"MAJORDOMO_API_KEY": KEY},
        )
    assert "refuses the key" in only_line(ran)
    assert list(home.work.iterdir()) == []


def test_a_directory_that_cannot_be_written(home: Home) -> None:
    ran = home.run("start", "--standalone", "--pid-file", str(home.work / "missing" / "p"), "--detach")
    assert "cannot be written: No such file or directory" in only_line(ran)


def test_a_port_that_is_wished_is_taken(home: Home, free_port: int, provider: ProviderProcess) -> None:
    ran = home.run(
        *("exec", "--standalone", "--port", str(free_port), "--", sys.executable, "-c", ASKING, json.dumps([{}])),
        env={"ANTHROPIC_BASE_URL": provider.url},
    )
    assert ran.seen["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{free_port}"


def test_stop_waits_for_a_reply_under_way(home: Home, provider: ProviderProcess) -> None:
    pid_file, env_file = home.work / "companion.pid", home.work / "companion.env"
    home.run(
        *("start", "--standalone", "--pid-file", str(pid_file), "--env-file", str(env_file), "--detach"),
        env={"ANTHROPIC_BASE_URL": provider.url},
    )
    provider.queue({"delay_ms": 700})
    script = f'. "{env_file}" && exec "$PYTHON" -c "$ASKING" "$REQUESTS"'
    asking = subprocess.Popen(
        ["sh", "-c", script],
        env=home.environment(PYTHON=sys.executable, ASKING=ASKING, REQUESTS="[{}]"),
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not provider.requests():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert home.run("stop", "--pid-file", str(pid_file)).code == 0
    out, _ = asking.communicate(timeout=PATIENCE)
    assert json.loads(out.splitlines()[1])["status"] == 200
