"""Memory does not grow: not with time, and not with callers who do not read."""

import contextlib
import http.client
import socket
import threading
import time

import pytest
from campaign.callers import Mix
from campaign.fortress import until
from campaign.memory import MIB, Watch, resident
from campaign.siege import siege
from campaign.sizes import SEED, SOAK_SECONDS, tell

#: What the processes take until every pool, cache and arena has its size (s).
WARM_UP = 0.4 * SOAK_SECONDS if SOAK_SECONDS < 300 else 120.0

#: Growth between the medians of the first and the last third that is noise: arenas, batches of different size. A leak
#: of a single kilobyte a request would be beyond it in any long run.
NOISE = 8 * MIB

#: Streams, hang-ups and large bodies, as fast as they come.
RUSH = Mix(leaves=25, breaks=3, slow=2, big=12, errors=3, stream=70, events=(3, 30), event_ms=(0, 10), rest=(0.0, 0.02))

STREAMS = 20
EVENT = "All work and no play makes Jack a dull boy. " * 3
TIMES = 60_000  # some 8 MB a stream


@pytest.mark.slow
def test_memory_does_not_grow_with_time(own_data_dir):
    """Streams, hang-ups and bodies of 1 MB: front desks and back office stay as large as they are once warm."""
    tell(f"CAMPAIGN_SEED={SEED} CAMPAIGN_SOAK_SECONDS={SOAK_SECONDS}")
    with siege(own_data_dir, SEED, mix=RUSH) as running:
        names = ("front desk 1", "front desk 2", "back office")
        watch = Watch({name: running.fortress.pid(name) for name in names})
        running.load.keep = False
        running.load.start(1)
        try:
            time.sleep(WARM_UP)
            watch.watch(SOAK_SECONDS - WARM_UP)
        finally:
            running.load.stop()
        tell(watch.told())
        tell(f"{running.load.count} requests")
        for name in names:
            assert watch.growth(name) < NOISE, watch.told()
            assert watch.files_growth(name) < 20, watch.told()
        running.check_ledger(1)
        running.fortress.stop()
        assert running.fortress.leftovers() == []


def test_a_caller_who_does_not_read_takes_little_memory(own_data_dir):
    """Twenty streams of eight megabytes whose callers read nothing: less than a megabyte each; then all of it comes."""
    with siege(own_data_dir, SEED) as running:
        desks = [running.fortress.pid(f"front desk {number}") for number in (1, 2)]
        _one_after_another(running, 4)  # what the first requests make is not theirs
        before = sum(map(resident, desks))
        callers = [_begin(running) for _ in range(STREAMS)]
        time.sleep(1.5)  # a desk that did not stop reading would have everything by now
        largest = sum(map(resident, desks))
        tell(f"{STREAMS} streams unread: {(largest - before) / MIB:.1f} MiB more")
        sizes: list[int] = []
        readers = [threading.Thread(target=lambda one=one: sizes.append(_rest(one))) for one in callers]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert largest - before < STREAMS * MIB
        assert min(sizes) > TIMES * len(EVENT)
        assert len(set(sizes)) == 1
        until(lambda: running.query("SELECT count(*) FROM llm_requests")[0][0] == STREAMS + 4, lambda: "rows missing")


def _begin(running, times=TIMES):
    body = b'{"model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'
    script = f'{{"text": "{EVENT}", "events": 400}}'
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "Host: gateway",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Majordomo-Key: {running.load.keys['first']}",
        f"X-Script: {script}",
        f"X-Text-Times: {times}",
    )
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.connect(("127.0.0.1", running.fortress.port))
    caller.sendall("\r\n".join((*lines, "", "")).encode() + body)
    return caller


def _rest(caller):
    with contextlib.closing(caller):
        reply = http.client.HTTPResponse(caller)
        reply.begin()
        return len(reply.read())


def _one_after_another(running, count):
    for _ in range(count):
        _rest(_begin(running, 200))
