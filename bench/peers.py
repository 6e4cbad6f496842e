"""The peers, each installed in a folder of its own: LiteLLM's proxy and Portkey's gateway."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.contender import CALLER_CREDENTIAL, INSTALLS, Contender
from bench.processes import CONTENDER_CORE, BenchmarkError, Crew, answers, free_port, listens, tree, wait_until

LITELLM_VERSION = "1.106.2"  # the newest whose pinned requirements the package index had in full
PORTKEY_VERSION = "1.15.2"

LITELLM_CONFIG = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: http://127.0.0.1:{upstream_port}/v1
      api_key: sk-bench-not-a-real-key
"""
LITELLM_KEY = "sk-bench-master"


def install_litellm() -> Path:
    """LiteLLM's proxy in an environment of its own; its program."""
    folder = INSTALLS / f"litellm-{LITELLM_VERSION}"
    program = folder / "bin" / "litellm"
    if not (folder / ".installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _install([sys.executable, "-m", "venv", str(folder)], "making an environment for LiteLLM")
        _install(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", f"litellm[proxy]=={LITELLM_VERSION}"],
            "installing LiteLLM",
        )
        (folder / ".installed").touch()
    return program


def start_litellm(crew: Crew, program: Path, upstream_port: int) -> Contender:
    """One worker in its production mode, a master key, no database."""
    port = free_port()
    config = crew.logs / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(upstream_port=upstream_port))
    process = crew.start(
        "litellm",
        [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"],
        cores={CONTENDER_CORE},
        env={
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": LITELLM_KEY,
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
            "LITELLM_LOG": "ERROR",
        },
    )
    wait_until(
        lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"),
        seconds=180,
        what="LiteLLM did not start",
        step=0.5,
    )
    return Contender(
        f"LiteLLM proxy {LITELLM_VERSION}", port, lambda: tree(process.pid), {"Authorization": f"Bearer {LITELLM_KEY}"}
    )


def install_portkey() -> Path:
    """Portkey's gateway from npm in a folder of its own; its start script."""
    folder = INSTALLS / f"portkey-{PORTKEY_VERSION}"
    script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not (folder / ".installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private":true}')
        package = f"@portkey-ai/gateway@{PORTKEY_VERSION}"
        command = [_node("npm"), "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", package]
        _install(command, "installing Portkey", cwd=folder)
        (folder / ".installed").touch()
    return script


def start_portkey(crew: Crew, script: Path, upstream_port: int) -> Contender:
    """One Node process without its console page."""
    port = free_port()
    process = crew.start(
        "portkey",
        [_node("node"), str(script), "--headless", f"--port={port}"],
        cores={CONTENDER_CORE},
        env={"NODE_ENV": "production"},
    )
    wait_until(lambda: listens(port), seconds=60, what="Portkey did not start", step=0.2)
    headers = {
        "Authorization": CALLER_CREDENTIAL,
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/v1",
    }
    return Contender(f"Portkey gateway {PORTKEY_VERSION}", port, lambda: tree(process.pid), headers)


def _node(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise BenchmarkError(
            f"{name} is needed for Portkey: `make bench` installs it from the package index, else put it on PATH"
        )
    return found


def _install(command: list[str], what: str, cwd: Path | None = None) -> None:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{what} took longer than 15 minutes") from None
    if done.returncode:
        raise BenchmarkError(f"{what} failed: {done.stderr.decode(errors='replace').strip()[-600:]}")
