"""Lets the server's processes that answer reports, or sum in the background, go behind those that store requests.

Both cores may be busy with storing; a report that takes its share of them would slow down what must not wait. Where the
server runs on this machine and we may, its process for such a connection gets a lower priority: on an idle machine that
costs nothing. Elsewhere nothing is done.
"""

import os
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from majordomo.record.database import Connection

#: A tenth of the weight of a process of ordinary priority.
NICE: Final = 10


def go_behind(connection: Connection, dsn: str) -> bool:
    """Lower the priority of the server's process for this connection; whether that was done."""
    pid = connection.get_server_pid()
    try:
        if not is_here(dsn) or not Path(f"/proc/{pid}/comm").read_text().startswith("postgres"):
            return False
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    except OSError:  # no Linux, another namespace of processes, or another user's server
        return False
    return True


def is_here(dsn: str) -> bool:
    """Whether the server of a DSN is on this machine: it is reached through a socket in the file system."""
    parts = urlsplit(dsn)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    return host.startswith(("/", "%2F", "%2f"))
