"""Stands in for a front desk or back office: follows the supervisor's protocol and, by its arguments, misbehaves.

    child.py ROLE [--key KEY] [--die-at-once] [--ignore-term] [--record FILE]

A front desk answers HTTP on the ordered port with its process id; the file gets a line for each thing that happens.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from majordomo.launch import Firsts, become_child, read_launch, report_ready


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    parser.add_argument("--key")
    parser.add_argument("--die-at-once", action="store_true")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--slow-stop", type=float, default=0.0)
    parser.add_argument("--record", default=os.devnull)
    options = parser.parse_args()

    def note(what: str) -> None:
        with Path(options.record).open("a") as record:
            record.write(f"{options.role} {what} {os.getpid()} {time.monotonic()}\n")

    launch = read_launch()
    note("start")
    if options.die_at_once:
        sys.exit(3)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: None if options.ignore_term else over.set())
    become_child(launch.supervisor)
    if options.role == "front":
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((launch.host, launch.port))
        listening.listen()
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
    report_ready(Firsts(options.key))
    while not over.wait(0.05):
        pass
    time.sleep(options.slow_stop)
    note("stop")


def answer(listening: socket.socket) -> None:
    while True:
        link, _ = listening.accept()
        with link:
            link.recv(4096)
            body = str(os.getpid()).encode()
            link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


if __name__ == "__main__":
    main()
