"""Compressed replies: gzip, deflate, br and zstd, inflated as they pass, for the reader behind.

Plan: each piece is inflated in bounded steps and fed on at once, so a reply cut anywhere has given all that was
readable. A bomb neither fills memory (the reader behind is bounded, and so is each step) nor keeps the event loop (a
reply that inflates beyond all likelihood is given up). What could not be inflated is counted as output.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli
import zstandard

from majordomo.meter.body import ReaderBase
from majordomo.meter.reading import Reading, RequestFacts

#: Bytes that one step inflates at most.
STEP: Final = 64 << 10
#: A reply that has inflated to more than this, and by more than the ratio below, is a bomb.
BOMB_SIZE: Final = 8 << 20
#: The most that real replies shrink by: streams of repeated frames reach some 30.
BOMB_RATIO: Final = 100
#: Most encodings laid over one another. One is usual.
LAYERS_MAX: Final = 3
#: Bytes fed to zstd at a time: it cannot be told to stop, and four bytes can become a block of 128 KiB.
_ZSTD_STEP: Final = 256
#: Largest window that a zstd reply may ask for (RFC 9659: 8 MB over HTTP).
_ZSTD_WINDOW: Final = 8 << 20


#: zlib's words for: a gzip header; a zlib header.
_GZIP: Final = 16 + zlib.MAX_WBITS
_DEFLATE: Final = zlib.MAX_WBITS

#: What the codecs raise on damaged input.
_DAMAGE: Final = (zlib.error, brotli.error, zstandard.ZstdError, MemoryError)


class Inflater(Protocol):
    """One encoding, undone step by step."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The inflated pieces of ``data``, each of bounded size. Raises the codec's own error on damage."""


class _Zlib:
    """gzip (of several members too), and deflate with the zlib header or, as some servers send it, without."""

    __slots__ = ("_bits", "_inflate", "_started")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._inflate = zlib.decompressobj(bits)
        self._started = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if not self._started and data:
            self._started = True
            if self._bits == _DEFLATE and data[0] & 0x0F != zlib.DEFLATED:
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        while data:
            piece = self._inflate.decompress(data, STEP)
            data = self._inflate.unconsumed_tail
            while len(piece) == STEP:
                yield piece
                piece = self._inflate.decompress(data, STEP)
                data = self._inflate.unconsumed_tail
            if piece:
                yield piece
            if self._inflate.eof:
                data = self._inflate.unused_data.lstrip(b"\0") if self._bits == _GZIP else b""
                if data:
                    self._inflate = zlib.decompressobj(_GZIP)


class _Brotli:
    __slots__ = ("_inflate",)

    def __init__(self) -> None:
        self._inflate = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._inflate.is_finished():
            return
        piece = self._inflate.process(data, output_buffer_limit=STEP)
        while piece:
            yield piece
            if self._inflate.is_finished():
                return
            # Asked until it has no more: all input can be taken in while most of the output still waits inside.
            piece = self._inflate.process(b"", output_buffer_limit=STEP)


class _Zstd:
    __slots__ = ("_inflate",)

    def __init__(self) -> None:
        self._inflate = _zstd_object()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_STEP):
            step = data[start : start + _ZSTD_STEP]
            while step:
                if self._inflate.eof:
                    self._inflate = _zstd_object()
                piece = self._inflate.decompress(step)
                step = self._inflate.unused_data if self._inflate.eof else b""
                if piece:
                    yield piece


def _zstd_object() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()


_INFLATERS: Final[dict[str, Callable[[], Inflater]]] = {
    "gzip": lambda: _Zlib(_GZIP),
    "x-gzip": lambda: _Zlib(_GZIP),
    "deflate": lambda: _Zlib(_DEFLATE),
    "br": _Brotli,
    "zstd": _Zstd,
}


class InflatingReader:
    """Stands before a reader and feeds it the plain bytes."""

    __slots__ = ("_behind", "_broken", "_inflaters", "_plain", "_raw")

    def __init__(self, behind: ReaderBase, content_encoding: str) -> None:
        self._behind = behind
        self._raw = 0
        self._plain = 0
        self._broken = ""  # why nothing more is read
        codings = [coding.strip().lower() for coding in content_encoding.split(",")]
        codings = [coding for coding in codings if coding not in ("", "identity")]
        if len(codings) > LAYERS_MAX or any(coding not in _INFLATERS for coding in codings):
            self._broken = "unknown_encoding"
            codings = []
        self._inflaters = [_INFLATERS[coding]() for coding in reversed(codings)]

    def feed(self, data: bytes) -> None:
        """Take the next compressed bytes."""
        self._raw += len(data)
        if self._broken:
            self._behind.unread(len(data), self._broken)
            return
        try:
            self._through(0, data)
        except _DAMAGE:
            self._give_up("bad_encoding", len(data))

    def finish(self, facts: RequestFacts, *, complete: bool) -> Reading:
        """What the reader behind has read. Damage makes a reply incomplete."""
        return self._behind.finish(facts, complete=complete and not self._broken)

    def _through(self, layer: int, data: bytes) -> None:
        if layer == len(self._inflaters):
            self._behind.feed(data)
            return
        for piece in self._inflaters[layer].pieces(data):
            self._plain += len(piece)
            if self._plain > BOMB_SIZE and self._plain > BOMB_RATIO * self._raw:
                self._give_up("inflates_beyond_bounds", len(data))
            if self._broken:
                return
            self._through(layer + 1, piece)

    def _give_up(self, why: str, size: int) -> None:
        self._broken = why
        self._inflaters.clear()
        self._behind.unread(size, why)
