"""``majordomo serve`` as a keeper of processes: the real supervisor over stand-ins, and real signals."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from majordomo.child_process import FIRST_WAIT, LONGEST_WAIT, SOUND_AFTER, Backoff
from majordomo.places import Places
from majordomo.ports import PortError, claim, listener
from majordomo.supervisor import read_status

SERVE = str(Path(__file__).parent / "stand_ins" / "serve.py")

#: What must happen soon is waited for that long (s) before the test fails.
PATIENCE = 60.0


def until(claim_of, what: str):
    """Wait until ``claim_of()`` is true; its value."""
    deadline = time.monotonic() + PATIENCE
    while not (value := claim_of()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return value


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Service:
    """A running supervisor whose front desks and back office are stand-ins. PostgreSQL is real if asked for."""

    def __init__(self, folder: Path, *, workers=1, port=0, front="", back="", embedded=False, **settings: str) -> None:
        self.places = Places(folder)
        self.record = folder.with_name(folder.name + ".record")
        self.out = folder.with_name(folder.name + ".out")
        own = {f"MAJORDOMO_{name.upper()}": value for name, value in settings.items()}
        if not embedded:
            own["MAJORDOMO_DATABASE_URL"] = "postgresql://nobody:hunter2@127.0.0.1:1/none"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    SERVE,
                    folder,
                    str(port),
                    str(workers),
                    self._with_record(front),
                    self._with_record(back),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **own},
            )

    def _with_record(self, options: str) -> str:
        return f"{options} --record {shlex.quote(str(self.record))}"

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def said(self) -> str:
        return self.out.read_text(errors="replace")

    def happened(self) -> list[str]:
        """``ROLE start|stop`` in the order of events."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [" ".join(line.split()[:2]) for line in lines]

    def ready(self) -> "Service":
        until(lambda: "is running" in self.said or self.process.poll() is not None, "the banner does not come")
        assert self.process.poll() is None, self.said
        return self

    def status(self) -> dict[str, tuple[str, int | None, int]]:
        """Each process by name: state, process id, restarts."""
        status = read_status(self.places)
        return {one.name: (one.state, one.pid, one.restarts) for one in status.processes} if status else {}

    def port(self) -> int:
        return read_status(self.places).port

    def ask(self) -> int:
        """Process id of the front desk that answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/", timeout=PATIENCE) as reply:
            return int(reply.read())

    def came_back(self, name: str, not_as: int) -> int:
        def look() -> int | None:
            state, pid, _ = self.status().get(name, ("", None, 0))
            return pid if state == "ready" and pid != not_as else None

        return until(look, f"{name} does not come back: {self.said}")


@pytest.fixture
def folder(short_tmp):
    return short_tmp / "data dir"


def test_the_banner_has_everything_a_newcomer_needs(folder):
    """URL, first key once, a curl line to paste, what to do next."""
    with Service(folder, back="--key mdm_sk_FIRST").ready() as service:
        said = service.said
        assert f"http://127.0.0.1:{service.port()}" in said
        assert said.count("    mdm_sk_FIRST\n") == 1
        assert f"curl http://127.0.0.1:{service.port()}/v1/chat/completions" in said
        assert "-H 'X-Majordomo-Key: mdm_sk_FIRST'" in said
        assert "usage requests" in said
        assert "ANTHROPIC_BASE_URL" in said
        assert "hunter2" not in said


def test_a_later_start_shows_no_key(folder):
    """There is nothing to show; how to make one is said."""
    with Service(folder).ready() as service:
        assert "keys create" in service.said


def test_workers_share_one_port(folder):
    """As many front desks as asked for, all on the port that the supervisor found."""
    with Service(folder, workers=3).ready() as service:
        pids = {pid for name, (_, pid, _) in service.status().items() if name.startswith("front desk")}
        assert len(pids) == 3
        assert service.ask() in pids


@pytest.mark.parametrize("name", ["front desk 1", "back office"])
def test_a_killed_process_comes_back_and_the_others_go_on(folder, name):
    """kill -9 of one child restarts that one and touches no other."""
    with Service(folder, workers=2).ready() as service:
        before = service.status()
        os.kill(before[name][1], signal.SIGKILL)
        service.came_back(name, before[name][1])
        after = service.status()
        assert after[name][2] == 1
        assert {k: v for k, v in after.items() if k != name} == {k: v for k, v in before.items() if k != name}
        assert "killed by SIGKILL" in service.said


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_stops_in_order_and_says_so_with_exit_code_0(folder, sign):
    """Front desks first, then the back office, which still has their journals to bring in."""
    with Service(folder, workers=2, front="--slow-stop 0.3").ready() as service:
        service.process.send_signal(sign)
        assert service.process.wait(PATIENCE) == 0
        assert service.happened()[-3:] == ["front stop", "front stop", "back stop"]
        assert not service.status()


def test_a_second_signal_stops_at_once(folder):
    """Who presses Ctrl-C twice does not wait for running requests."""
    with Service(folder, front="--ignore-term", back="--ignore-term").ready() as service:
        pids = [pid for _, pid, _ in service.status().values()]
        service.process.send_signal(signal.SIGINT)
        until(lambda: "Stopping" in service.said, "it does not say that it stops")
        time.sleep(0.6)  # sooner, it counts as the same key press passed on twice
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(PATIENCE) == 1
        assert not any(alive(pid) for pid in pids)


def test_a_front_desk_that_does_not_stop_is_killed_after_its_grace(folder):
    """One that hangs does not keep the service from ending."""
    with Service(folder, front="--ignore-term", shutdown_grace="0.1").ready() as service:
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
        assert "did not stop in time" in service.said


def test_nothing_is_left_after_kill_9_of_the_supervisor(folder):
    """Children get SIGTERM from the kernel and stop gracefully; a later start finds everything free."""
    with Service(folder, workers=2).ready() as service:
        pids = [pid for _, pid, _ in service.status().values()]
        port = service.port()
        service.process.kill()
        service.process.wait()
        until(lambda: not any(alive(pid) for pid in pids), "a child was left behind")
        assert sorted(service.happened()[-3:]) == ["back stop", "front stop", "front stop"]
        assert read_status(service.places) is None
    with Service(folder, port=port).ready() as again:
        assert again.port() == port


def test_postgresql_is_started_watched_and_stopped(data_dir):
    """kill -9 of PostgreSQL restarts it and nothing else; the end of the service is its end."""
    with Service(data_dir, embedded=True).ready() as service:
        before = service.status()
        os.kill(before["PostgreSQL"][1], signal.SIGKILL)

        def back() -> int | None:
            state, pid, restarts = service.status().get("PostgreSQL", ("", None, 0))
            return pid if state == "running" and restarts == 1 else None

        postmaster = until(back, service.said)
        assert service.status()["front desk 1"] == before["front desk 1"]
        # Whatever its state: it may not have said yet that it is ready.
        assert service.status()["back office"][1:] == before["back office"][1:]
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
        assert not alive(postmaster)


def test_kill_9_of_the_supervisor_stops_postgresql_and_a_start_at_once_works(data_dir):
    """Three times in a row, without waiting."""
    for _ in range(3):
        with Service(data_dir, embedded=True).ready() as service:
            postmaster = service.status()["PostgreSQL"][1]
            service.process.kill()
            service.process.wait()
    until(lambda: not alive(postmaster), "PostgreSQL was left behind")


def test_a_front_desk_that_never_serves_ends_the_start(folder):
    """A start that cannot succeed ends with an error, and the key that was made is not swallowed."""
    with Service(folder, front="--die-at-once", back="--key mdm_sk_ONLY") as service:
        assert service.process.wait(PATIENCE) == 1
        assert "stopped 5 times without serving" in service.said
        assert "exit code 3" in service.said
        assert "mdm_sk_ONLY" in service.said


def test_a_back_office_that_falls_again_and_again_does_not_stop_the_front_desks(folder):
    """Requests are served and recorded in the journals meanwhile."""
    with Service(folder, back="--die-at-once") as service:
        until(lambda: service.status().get("back office", ("", 0, 0))[2] >= 3, service.said)
        state, pid, restarts = service.status()["front desk 1"]
        assert (state, restarts) == ("ready", 0)
        assert service.ask() == pid


def test_a_taken_port_is_an_error_that_says_what_to_do(folder):
    """Who has it, and how to choose another one."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Service(folder, port=port) as service:
            assert service.process.wait(PATIENCE) == 1
        assert f"127.0.0.1:{port} is already in use by" in service.said
        assert f"(process {os.getpid()})" in service.said
        assert f"majordomo serve --port {port + 1}" in service.said
    assert not service.happened()


def test_a_second_service_on_the_data_directory_is_refused(folder):
    """The message names the first one."""
    with Service(folder).ready() as first, Service(folder) as second:
        assert second.process.wait(PATIENCE) == 1
        assert f"another `majordomo serve` (process {first.process.pid})" in second.said


def test_a_data_directory_that_cannot_be_made_is_an_error(short_tmp):
    """A file is in the way."""
    (short_tmp / "file").write_text("")
    with Service(short_tmp / "file") as service:
        assert service.process.wait(PATIENCE) == 1
    assert "in the way" in service.said


def test_children_get_no_secret_by_environment_or_arguments(folder):
    """The DSN comes on standard input only."""
    with Service(folder).ready() as service:
        for _, pid, _ in service.status().values():
            for file in ("environ", "cmdline"):
                assert b"hunter2" not in Path(f"/proc/{pid}/{file}").read_bytes()


if os.geteuid() == 0:

    def test_as_process_1_it_collects_orphans(folder):
        """In a container without an init, what others leave behind does not pile up."""
        code = (
            "import os, subprocess, sys, time\n"
            "from pathlib import Path\n"
            "if os.fork() == 0:\n"  # becomes a child of process 1, and leaves an orphan to it
            "    time.sleep(2)\n"
            "    if os.fork() == 0:\n"
            "        time.sleep(0.2); os._exit(0)\n"
            "    os._exit(0)\n"
            f"os.execv(sys.executable, [sys.executable, {SERVE!r}, {str(folder)!r}, '0', '1', '', ''])\n"
        )
        env = {**os.environ, "MAJORDOMO_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/none"}
        with subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
        ) as outer:
            until(lambda: read_status(Places(folder)), "it does not start")
            [init] = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            time.sleep(3)  # both orphans have ended by now
            zombies = [
                pid for pid in Path(f"/proc/{init}/task/{init}/children").read_text().split() if not alive(int(pid))
            ]
            os.kill(int(init), signal.SIGTERM)
            assert outer.wait(PATIENCE) == 0
        assert zombies == []


def test_port_0_takes_a_free_one_and_holds_it():
    """While claimed, nobody else gets it."""
    ours = claim("127.0.0.1", 0)
    assert ours.port > 0
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", ours.port))
    ours.close()


def test_an_address_of_another_machine_is_refused():
    """192.0.2.1 is nobody's."""
    with pytest.raises(PortError, match=r"use an address of this machine"):
        claim("192.0.2.1", 0)


def test_a_name_that_means_nothing_is_refused():
    """No look-up leaves the machine for a name that is no name."""
    with pytest.raises(PortError, match="no address of this machine"):
        claim("not a host", 0)


def test_a_free_port_has_no_listener(free_port):
    """Nobody is named when nobody listens."""
    assert listener(free_port) is None


def test_falls_in_a_row_wait_longer_and_longer():
    """Doubling from the first to the longest wait; sound running begins anew."""
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    waits = []
    for _ in range(12):
        backoff.started()
        waits.append(backoff.fell())
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    backoff.started()
    now[0] += SOUND_AFTER
    assert backoff.fell() == FIRST_WAIT
