"""``majordomo serve``: the gateway itself."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from majordomo.cli.options import ConfigOption, DataDirOption, read_settings

if TYPE_CHECKING:
    from majordomo.settings import Settings
    from majordomo.supervisor import Running

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; anything but loopback is a deliberate act.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="TCP port; 0 takes a free one.", show_default="7680")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Front-desk processes sharing the port.", show_default="1")
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
    log_format: Annotated[
        str | None, typer.Option(help="text, json, or auto: text on a terminal, JSON elsewhere.", show_default="auto")
    ] = None,
) -> None:
    """Start the gateway: front desks, back office and, unless MAJORDOMO_DATABASE_URL is set, an embedded PostgreSQL.

    Ctrl-C or SIGTERM lets running requests finish; a second one stops at once.
    """
    from majordomo import logs
    from majordomo.supervisor import Supervisor

    settings = read_settings(
        config, data_dir, host=host, port=port, workers=workers, log_level=log_level, log_format=log_format
    )
    logs.set_up(settings.log_level, settings.log_format)
    again = _same_options(data_dir, config)
    code = Supervisor(settings, announce=lambda running: _print(banner(settings, running, again))).run()
    raise typer.Exit(code)


def banner(settings: "Settings", running: "Running", options: str = "") -> str:
    """What a person sees when the gateway serves. ``options``: those that further commands need to find it."""
    from majordomo import __version__
    from majordomo.ports import is_loopback

    url = _url(running.host, running.port)
    lines = [f"Majordomo {__version__} is running.", ""]
    lines += [f"  Gateway, dashboard     {url}"]
    if not is_loopback(running.host):
        lines += [
            f"                         listening on {running.host}: others can reach it, protected by gateway keys only"
        ]
    lines += [f"  Database               {_database(running)}"]
    lines += [f"  Data directory         {settings.data_dir}", ""]
    if running.waiting_for:
        lines += [f"  Not ready yet: {', '.join(running.waiting_for)}; the lines above say why.", ""]
    own = own_command()
    if running.firsts.link:
        lines += [
            "  Sign in, once with this link; it asks for a password of your own:",
            "",
            f"    {settings.page_url(f'/sign-in#{running.firsts.link}', running.port)}",
            "",
        ]
    if running.firsts.key:
        lines += [
            "  Your first gateway key. It is shown this once, only its hash is kept:",
            "",
            f"    {running.firsts.key}",
            "",
        ]
        lines += _first_steps(url, running.firsts.key)
    else:
        lines += [f"  New key      {own} keys create --name NAME{options}"]
    lines += [f"  Requests     {own} usage requests{options}"]
    lines += [f"  Trouble?     {own} doctor{options}"]
    return "\n".join(lines) + "\n"


def _first_steps(url: str, key: str) -> list[str]:
    return [
        "  Try it, with your own provider key in OPENAI_API_KEY:",
        "",
        f"    curl {url}/v1/chat/completions \\",
        f"      -H 'X-Majordomo-Key: {key}' -H 'X-Majordomo-Feature: first-try' \\",
        "      -H \"Authorization: Bearer $OPENAI_API_KEY\" -H 'Content-Type: application/json' \\",
        '      -d \'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}\'',
        "",
        "  Claude Code, on your own account:",
        "",
        f"    ANTHROPIC_BASE_URL={url} \\",
        f"      ANTHROPIC_CUSTOM_HEADERS=$'X-Majordomo-Key: {key}\\nX-Majordomo-Client: claude-code' claude",
        "",
    ]


def _database(running: "Running") -> str:
    if running.embedded is None:
        return "yours (MAJORDOMO_DATABASE_URL)"
    return f"embedded PostgreSQL {running.embedded.binaries.version}, in {running.embedded.cluster.home}"


def _url(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def own_command() -> str:
    """How to call this program again from the same shell: by name if that finds it, else by path."""
    called = Path(sys.argv[0])
    if called.name != "majordomo":
        return f"{shlex.quote(sys.executable)} -m majordomo"
    found = shutil.which("majordomo")
    same = found is not None and Path(found).resolve() == called.resolve()
    return "majordomo" if same else shlex.quote(str(called))


def _same_options(data_dir: Path | None, config: Path | None) -> str:
    given: dict[str, Any] = {"--data-dir": data_dir, "--config": config}
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value)


def _print(text: str) -> None:
    try:
        sys.stdout.write("\n" + text + "\n")
        sys.stdout.flush()
    except OSError:
        pass  # nobody reads; the gateway serves all the same
