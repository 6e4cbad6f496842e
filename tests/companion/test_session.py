"""The session of a command at the gateway: begun, named, ended, however the command or the companion ends."""

import signal
import time
from pathlib import Path

import psutil
import pytest
from companion_process import PATIENCE, Home, asking
from gateway_fixture import Gateway

from majordomo.demo.provider_process import ProviderProcess


def session_of(gateway: Gateway, tag: str) -> dict[str, object]:
    """The session that the rows of a tag belong to."""
    session = gateway.rows(tag)[0]["claude_session_id"]
    return dict(gateway.sql("SELECT * FROM claude_sessions WHERE id = $1", session)[0])


def until_ended(gateway: Gateway, session_id: object) -> dict[str, object]:
    """The session, once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        row = dict(gateway.sql("SELECT * FROM claude_sessions WHERE id = $1", session_id)[0])
        if row["ended_at"] is not None:
            return row
        assert time.monotonic() < deadline, "the session was not ended"
        time.sleep(0.05)


def gone(*processes: psutil.Process) -> None:
    """Wait until these processes are no more."""
    _, alive = psutil.wait_procs(list(processes), PATIENCE)
    assert alive == []


def test_it_is_registered_by_name_and_ended_with_the_command(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    home.run(
        *(
            "exec",
            "--gateway",
            gateway.base_url,
            "--session-name",
            "one try",
            "--metadata",
            f"Test-Case={tag}",
            "--",
        ),
        *asking({}),
        env={"MAJORDOMO_API_KEY": gateway.key},
    )
    session = session_of(gateway, tag)
    assert session["session_name"] == "one try"
    assert session["source"] == "companion"
    assert session["ended_by"] == "owner"
    assert session["total_requests"] == 1


@pytest.mark.parametrize("whom", ["companion", "child"])
def test_a_kill_ends_everything(home: Home, gateway: Gateway, whom: str) -> None:
    tag = gateway.tag()
    running = home.popen(
        *("exec", "--gateway", gateway.base_url, "--metadata", f"Test-Case={tag}", "--"),
        *asking({}, {"wait": 600}),
        env={"MAJORDOMO_API_KEY": gateway.key},
    )
    session = session_of(gateway, tag)
    companion = psutil.Process(running.pid)
    family = companion.children(recursive=True)
    port = next(each.laddr.port for each in companion.net_connections("tcp") if each.status == psutil.CONN_LISTEN)
    (child,) = [process for process in family if process.cmdline()[1] == "-c"]
    assert len(family) == 2  # the child, and who clears up after us
    (companion if whom == "companion" else child).kill()
    assert running.wait(PATIENCE) == (-signal.SIGKILL if whom == "companion" else 128 + signal.SIGKILL)
    gone(*family)
    assert until_ended(gateway, session["id"])["ended_by"] == "owner"
    assert not [each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port and each.pid]
    running.communicate()


def test_a_key_that_the_gateway_refuses_is_told_at_once_and_nothing_is_started(home: Home, gateway: Gateway) -> None:
    ran = home.run("exec", "--gateway", gateway.base_url, "--api-key", "mdm_sk_" + "x" * 43, "--", "touch", "started")
    assert ran.code == 1
    assert "refuses the key" in ran.err
    assert "x" * 43 not in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not Path(home.work, "started").exists()


def test_the_key_is_in_no_file_and_no_process_list(home: Home, gateway: Gateway) -> None:
    tag = gateway.tag()
    running = home.popen(
        *("exec", "--gateway", gateway.base_url, "--api-key", gateway.key, "--metadata", f"Test-Case={tag}", "--"),
        *asking({}, {"wait": 600}),
    )
    gateway.row(tag)
    companion = psutil.Process(running.pid)
    family = [companion, *companion.children(recursive=True)]
    for process in family:
        assert gateway.key not in " ".join(process.cmdline())
    (child,) = [process for process in family if process.cmdline()[1] == "-c"]
    assert gateway.key not in str(child.environ())
    running.terminate()
    assert running.wait(PATIENCE) == 128 + signal.SIGTERM
    running.communicate()
    files = [path for path in home.path.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if gateway.key.encode() in path.read_bytes()]


def test_standard_input_gives_the_key_and_then_belongs_to_the_child(home: Home, gateway: Gateway) -> None:
    told = f"{gateway.key}\nfor the child\n"
    ran = home.run("exec", "--gateway", gateway.base_url, "--api-key-stdin", "--", "cat", input=told)
    assert (ran.code, ran.out) == (0, "for the child\n")


def test_a_session_of_no_gateway_needs_no_key(home: Home, provider: ProviderProcess) -> None:
    ran = home.run("exec", "--standalone", "--", *asking({}), env={"ANTHROPIC_BASE_URL": provider.url})
    assert [reply["status"] for reply in ran.replies] == [200]
