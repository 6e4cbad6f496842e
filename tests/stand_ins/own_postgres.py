"""Owns an embedded PostgreSQL until it is killed: own_postgres.py DATA_DIR. Tells the server's process id and DSN."""

import json
import signal
import sys
from pathlib import Path

from majordomo.record import embedded
from majordomo.settings import load_settings


def main() -> None:
    server = embedded.open_server(load_settings(data_dir=Path(sys.argv[1])))
    embedded.start(server, embedded.say)
    assert server.process is not None
    sys.stdout.write(json.dumps({"postmaster": server.process.pid, "dsn": server.dsn()}) + "\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
