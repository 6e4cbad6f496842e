"""The scripted provider: a loopback server that speaks the OpenAI, Anthropic and Gemini APIs, as told.

    python -m majordomo.demo.provider --port 0

prints its URL and serves until SIGTERM or SIGINT. Nothing leaves the machine, and no key is looked at. How a request
chooses its reply stands in ``script.py``; what arrived can be read back:

==========================  ====================================================================
``POST /__script``          adds a JSON array of scripts to the queue; each answers ``times`` requests
``DELETE /__script``        empties the queue
``GET /__requests``         counts, and the requests that are kept; ``?since=N``, ``?bodies=0``
``DELETE /__requests``      forgets them
``GET /__stats``            the counts alone
==========================  ====================================================================
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys

import uvloop

from majordomo.demo.connection import Connection
from majordomo.demo.stage import Stage

#: Callers that may wait to be accepted: load tests connect all at once.
BACKLOG = 4096


async def serve(port: int, *, until_eof: bool) -> None:
    """Serve on loopback until a signal, or until standard input ends."""
    loop = asyncio.get_running_loop()
    stage = Stage()
    server = await loop.create_server(lambda: Connection(stage), "127.0.0.1", port, backlog=BACKLOG)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 - it is what it is asked for
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), _end_at_eof, stop)
    await stop.wait()
    server.close()


def _end_at_eof(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def main() -> None:
    """Read the options and serve."""
    options = argparse.ArgumentParser(
        prog="majordomo.demo.provider", description="A scripted LLM provider on loopback."
    )
    options.add_argument("--port", type=int, default=0, help="TCP port; 0 takes a free one")
    options.add_argument(
        "--until-eof", action="store_true", help="stop when standard input ends, so as not to outlive a parent"
    )
    given = options.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(given.port, until_eof=given.until_eof))


if __name__ == "__main__":
    main()
