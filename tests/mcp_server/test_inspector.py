"""The MCP inspector's own client, which shares no code with us or the SDK, drives each tool."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mcp_questions import QUESTIONS, question, told
from node_packages import NODE, installed

from majordomo.report.mcp.server import NAMES

_INSPECTOR = Path("node_modules") / "@modelcontextprotocol" / "inspector"


@pytest.fixture(scope="module")
def inspect(asked: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``inspect("tools/list")``: what the inspector prints, as JSON."""
    folder = Path(__file__).parent
    installed(folder)
    package = json.loads((folder / _INSPECTOR / "package.json").read_text())
    program = folder / _INSPECTOR / package["bin"]["mcp-inspector"]
    config = tmp_path_factory.mktemp("inspector") / "servers.json"
    command, *arguments = asked.command
    server = {"command": command, "args": arguments, "env": asked.environment()}
    config.write_text(json.dumps({"mcpServers": {"majordomo": server}}))

    def run(method: str, *options: str) -> Any:
        told_to = ["--cli", "--config", str(config), "--server", "majordomo", "--method", method, *options]
        done = subprocess.run(
            [str(NODE), str(program), *told_to],
            env=asked.environment(PATH=f"{NODE.parent}:/usr/bin:/bin", HOME=str(config.parent)),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    return run


def test_it_lists_every_tool(inspect: Any) -> None:
    assert [tool["name"] for tool in inspect("tools/list")["tools"]] == list(NAMES)


@pytest.mark.parametrize("name", QUESTIONS)
def test_it_drives_each_tool(inspect: Any, asked: Any, name: str) -> None:
    request_id = str(asked.gateway.sql("SELECT id FROM llm_requests ORDER BY requested_at DESC LIMIT 1")[0]["id"])
    arguments, path, parameters = question(name, request_id)
    options = [
        word
        for key, value in arguments.items()
        for word in ("--tool-arg", f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    ]
    result = inspect("tools/call", "--tool-name", name, *options)
    assert not result.get("isError"), result
    assert told(json.loads(result["content"][0]["text"])) == told(asked.get(path, **parameters))
