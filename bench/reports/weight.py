"""What a browser loads to show the dashboard for the first time: the page, its styles, every module."""

import gzip
import http.client
import re
from posixpath import join, normpath
from typing import Final

import msgspec

_LINKED: Final = re.compile(rb"""(?:src|href)="([^"#:]+)\"""")
_IMPORTED: Final = re.compile(rb"""(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"']+|/[^"']+)["']""")


class Weight(msgspec.Struct, frozen=True):
    """Bytes over the wire, and what gzip would have made of all."""

    files: int
    sent: int
    gzipped: int


def weigh(port: int) -> Weight:
    """Follow every link and import from `/`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    waiting, seen = ["/"], {"/"}
    sent = gzipped = files = 0
    while waiting:
        path = waiting.pop()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip", "Accept": "text/html,*/*"})
        reply = connection.getresponse()
        body = reply.read()
        if reply.status != http.client.OK:
            continue
        files, sent = files + 1, sent + len(body)
        plain = gzip.decompress(body) if reply.getheader("Content-Encoding") == "gzip" else body
        gzipped += len(gzip.compress(plain, 6))
        kind = reply.getheader("Content-Type") or ""
        pattern = _LINKED if "html" in kind else _IMPORTED if "javascript" in kind else None
        for found in pattern.findall(plain) if pattern else ():
            target = normpath(join(path if path.endswith("/") else path.rpartition("/")[0], found.decode()))
            if target not in seen and (pattern is _IMPORTED or "." in target.rpartition("/")[2]):
                seen.add(target)
                waiting.append(target)
    return Weight(files, sent, gzipped)
