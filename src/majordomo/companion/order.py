"""What one companion is told to do: the outcome of flags, environment and files, checked.

Made before the child starts, which has to be within 300 ms: nothing heavy is imported here.
"""

import argparse
import os
from pathlib import Path
from typing import NamedTuple

from majordomo.companion import caps, gateway_key, gateway_url, metadata
from majordomo.companion.caps import Caps
from majordomo.companion.errors import CompanionError

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
    caps: Caps = Caps()

    def __repr__(self) -> str:
        return f"<Order {self.gateway or 'standalone'}, session {self.session_id}>"

    @property
    def key_hash(self) -> str | None:
        """Which key it is, for whoever has it: SHA-256, hex. Keys are too long to be guessed from it."""
        import hashlib

        return hashlib.sha256(self.api_key.encode()).hexdigest() if self.api_key else None

    @property
    def page(self) -> str | None:
        """Where the session can be looked at."""
        return f"{self.gateway}/claude-sessions/{self.session_id}" if self.gateway else None


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that ``exec`` and ``start`` have in common."""
    add = parser.add_argument
    add("--gateway", metavar="URL", default=gateway_url.DEFAULT, help="gateway URL (default: %(default)s)")
    add("--api-key", metavar="KEY", help="Majordomo key, or - for standard input; better in MAJORDOMO_API_KEY")
    add("--api-key-stdin", action="store_true", help="read the key from the first line of standard input")
    add("--port", metavar="N", type=_port, default=0, help="local port to listen on (default: 0 = a free one)")
    add("--workdir", metavar="DIR", type=Path, help="directory to read .majordomo/metadata.json from (default: here)")
    add("--metadata", metavar="KEY=VALUE", action="append", help="metadata to send with every request; repeatable")
    add("--session-name", metavar="NAME", help="a name for the session")
    add("--standalone", action="store_true", help="no gateway at all: meter, price and record on this machine")
    add("--fail-closed", action="store_true", help="refuse requests while the gateway is away, instead of going on")


def _port(told: str) -> int:
    port = int(told)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


def read_order(told: argparse.Namespace) -> Order:
    """Check everything that can be checked without asking anybody.

    Raises:
        CompanionError, GatewayUrlError, GatewayKeyError, MetadataError: the first thing that is wrong.
    """
    name: str | None = told.session_name
    if told.standalone and told.fail_closed:
        raise CompanionError("--standalone has no gateway that could be away; leave --fail-closed out")
    if name is not None and (not 0 < len(name) <= _MAX_NAME or not name.isprintable()):
        raise CompanionError(f"--session-name must be one line of at most {_MAX_NAME} characters")
    labels = metadata.read(told.workdir if told.workdir is not None else Path.cwd(), told.metadata or ())
    import uuid

    return Order(
        gateway=None if told.standalone else gateway_url.checked(told.gateway),
        api_key=""
        if told.standalone
        else read_key(told.api_key, from_stdin=told.api_key_stdin, otherwise="; without a gateway use --standalone"),
        session_id=str(uuid.uuid4()),
        session_name=name,
        metadata=labels,
        port=told.port,
        fail_closed=told.fail_closed,
        caps=caps.read(told),
    )


def read_key(flag: str | None, *, from_stdin: bool, otherwise: str = "") -> str:
    """The gateway's key, from a flag, standard input or the environment.

    Raises:
        CompanionError, GatewayKeyError: there is none, or it cannot be one.
    """
    if from_stdin or flag == "-":
        return gateway_key.checked(_first_line())
    found = flag if flag is not None else os.environ.get(gateway_key.VARIABLE)
    if not found:
        raise CompanionError(
            f"no Majordomo key: set {gateway_key.VARIABLE}, or use --api-key-stdin or --api-key{otherwise}"
        )
    return gateway_key.checked(found)


def _first_line() -> str:
    """The first line of standard input, and not a byte more: the rest is the child's."""
    if os.isatty(0):
        import getpass

        return getpass.getpass("Majordomo key (mdm_sk_..., not shown): ")
    line = b""
    while len(line) <= gateway_key.MAX_CHARACTERS:
        byte = os.read(0, 1)
        if byte in (b"", b"\n"):
            break
        line += byte
    return line.decode("utf-8", "replace")
