"""What one companion is told to do: the outcome of flags, environment and files, checked.

Made before the child starts, which has to be within 300 ms: nothing heavy is imported here.
"""

import os
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from majordomo.companion import gateway_key, gateway_url, metadata
from majordomo.companion.errors import CompanionError

GatewayOption = Annotated[str, typer.Option("--gateway", help="Gateway URL.")]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        help="Majordomo key; better in the environment or by --api-key-stdin. [env: MAJORDOMO_API_KEY]",
        show_default=False,
    ),
]
ApiKeyStdinOption = Annotated[
    bool, typer.Option("--api-key-stdin", help="Read the key from the first line of standard input.")
]
PortOption = Annotated[
    int, typer.Option(min=0, max=65_535, help="Local port to listen on; 0 takes a free one.", show_default="0")
]
WorkdirOption = Annotated[
    Path | None,
    typer.Option(help="Directory to read .majordomo/metadata.json from.", show_default="the current directory"),
]
MetadataOption = Annotated[
    list[str] | None, typer.Option("--metadata", help="KEY=VALUE to send with every request; repeatable.")
]
SessionNameOption = Annotated[
    str | None, typer.Option("--session-name", help="A name for the session.", show_default=False)
]
StandaloneOption = Annotated[
    bool, typer.Option("--standalone", help="No gateway at all: meter, price and record on this machine.")
]
FailClosedOption = Annotated[
    bool,
    typer.Option("--fail-closed", help="Refuse requests while the gateway is away, instead of going to the provider."),
]

#: Characters of a session's name; a header line has to stay small.
_MAX_NAME = 200


class Order(NamedTuple):
    """What the proxy needs to know. Holds the key: never shown, never written."""

    gateway: str | None  # None: standalone
    api_key: str
    session_id: str
    session_name: str | None
    metadata: dict[str, str]
    port: int
    fail_closed: bool

    def __repr__(self) -> str:
        return f"<Order {self.gateway or 'standalone'}, session {self.session_id}>"

    @property
    def page(self) -> str | None:
        """Where the session can be looked at."""
        return f"{self.gateway}/claude-sessions/{self.session_id}" if self.gateway else None


def read_order(
    *,
    gateway: str,
    api_key: str | None,
    api_key_stdin: bool,
    port: int,
    workdir: Path | None,
    pairs: list[str] | None,
    session_name: str | None,
    standalone: bool,
    fail_closed: bool,
) -> Order:
    """Check everything that can be checked without asking anybody.

    Raises:
        CompanionError, GatewayUrlError, GatewayKeyError, MetadataError: the first thing that is wrong.
    """
    if standalone and fail_closed:
        raise CompanionError("--standalone has no gateway that could be away; leave --fail-closed out")
    if session_name is not None and (len(session_name) > _MAX_NAME or not session_name.isprintable()):
        raise CompanionError(f"--session-name must be one line of at most {_MAX_NAME} characters")
    told = metadata.read(workdir if workdir is not None else Path.cwd(), pairs or ())
    import uuid

    return Order(
        gateway=None if standalone else gateway_url.checked(gateway),
        api_key="" if standalone else _key(api_key, from_stdin=api_key_stdin),
        session_id=str(uuid.uuid4()),
        session_name=session_name,
        metadata=told,
        port=port,
        fail_closed=fail_closed,
    )


def _key(flag: str | None, *, from_stdin: bool) -> str:
    if from_stdin:
        return gateway_key.checked(_first_line())
    if flag is not None:
        if flag.startswith("--"):  # `--api-key $UNSET -- claude`
            raise CompanionError("--api-key is empty: the variable that should hold the key is not set")
        return gateway_key.checked(flag)
    found = os.environ.get(gateway_key.VARIABLE)
    if not found:
        raise CompanionError(
            f"no Majordomo key: set {gateway_key.VARIABLE}, or use --api-key-stdin or --api-key; "
            "without a gateway use --standalone"
        )
    return gateway_key.checked(found)


def _first_line() -> str:
    """The first line of standard input, and not a byte more: the rest is the child's."""
    import sys

    if sys.stdin.isatty():
        return str(typer.prompt("Majordomo key (mdm_sk_…, not shown)", hide_input=True, err=True))
    line = b""
    while len(line) <= gateway_key.MAX_CHARACTERS:
        byte = os.read(0, 1)
        if byte in (b"", b"\n"):
            break
        line += byte
    return line.decode("utf-8", "replace")
