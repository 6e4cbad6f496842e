"""One planned call of the demo, and sending it through the gateway with nothing but the standard library."""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

#: Seconds without an answer after which a call is given up.
CALL_SECONDS = 30.0

#: Bytes read before a caller that hangs up does so.
FIRST_BYTES = 64


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, as whom, and what the scripted provider shall answer."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    script: dict[str, Any]
    hang_up: bool = False  # leave in the middle of the reply
    with_key: bool = True  # False: a caller who forgot the gateway key

    def send(self, url: str, key: str) -> "Sent":
        """Make the call. Never raises for what a network or server does."""
        headers = {"content-type": "application/json", "x-script": json.dumps(self.script), **self.headers}
        if self.with_key:
            headers["X-Majordomo-Key"] = key
        began = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=CALL_SECONDS)
        try:
            connection.request("POST", self.path, json.dumps(self.body), headers)
            reply = connection.getresponse()
            status = reply.status
            if self.hang_up:
                reply.read1(FIRST_BYTES)
            else:
                reply.read()
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        return Sent(self, status, time.monotonic() - began)


class Sent(msgspec.Struct, frozen=True):
    """How a call ended: its status, 0 where none came or the reply broke off, and its time in seconds."""

    call: Call
    status: int
    seconds: float
