"""Compressed replies that are damaged, odd, or bombs."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from meter_samples import CHAT, CHAT_COUNTS, CHAT_STREAM, SSE, billed, read, text

from majordomo.apis import Api
from majordomo.meter.readers import reader_for
from majordomo.meter.reading import RequestFacts, UsageState

BODY = text(CHAT)
MIB = 1 << 20


def gzip_bomb(size: int) -> bytes:
    return gzip.compress(b"\0" * size)


def brotli_bomb(size: int) -> bytes:
    return brotli.compress(b"\0" * size, quality=5)


def zstd_bomb(size: int) -> bytes:
    return zstandard.compress(b"\0" * size)


BOMBS = [("gzip", gzip_bomb), ("br", brotli_bomb), ("zstd", zstd_bomb)]


@pytest.mark.parametrize(("encoding", "bomb"), BOMBS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("content_type", ["application/json", SSE])
def test_a_bomb_neither_fills_memory_nor_is_inflated_to_its_end(
    encoding: str, bomb: Callable[[int], bytes], content_type: str
):
    """An eighth of a gigabyte from some kilobytes: given up, and estimated."""
    body = bomb(128 * MIB)
    tracemalloc.start()
    reader = reader_for(
        Api.OPENAI_CHAT, status=200, content_type=content_type, content_encoding=encoding, limit=4 * MIB
    )
    reader.feed(body)
    reading = reader.finish(RequestFacts(input_bytes=40), complete=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 * MIB
    assert reading.state is UsageState.ESTIMATED
    assert "inflates_beyond_bounds" in reading.problems


def test_a_bomb_within_a_bomb_is_given_up_as_well():
    """Layers multiply."""
    body = gzip.compress(gzip_bomb(64 * MIB))
    reading = read(Api.OPENAI_CHAT, body, encoding="gzip, gzip")
    assert "inflates_beyond_bounds" in reading.problems


def test_a_long_stream_that_compresses_well_is_no_bomb():
    """Many megabytes of small events are real."""
    stream = CHAT_STREAM.split(b"\n\n")
    body = stream[0] + b"\n\n" + (stream[1] + b"\n\n") * 60_000 + b"\n\n".join(stream[2:])
    assert len(body) > 12 * MIB
    squeeze = zlib.compressobj(1, wbits=31)
    pieces = []
    for start in range(0, len(body), 400):  # flushed piece by piece, as servers do
        pieces.append(squeeze.compress(body[start : start + 400]) + squeeze.flush(zlib.Z_SYNC_FLUSH))
    pieces.append(squeeze.flush())
    reading = read(Api.OPENAI_CHAT, pieces, SSE, encoding="gzip")
    assert billed(reading) == [CHAT_COUNTS]
    assert reading.problems == ()


SQUEEZES = [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)]


@pytest.mark.parametrize(("encoding", "squeeze"), SQUEEZES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_repetitive_reply_is_inflated_to_its_end(encoding: str, squeeze: Callable[[bytes], bytes]):
    """A codec may take all input in at once and give most of its output only when asked again; usage comes last."""
    filler = b": All work and no play makes Jack a dull boy.\n\n" * 12_000
    reading = read(Api.OPENAI_CHAT, [squeeze(filler + CHAT_STREAM)], SSE, encoding=encoding)
    assert billed(reading) == [CHAT_COUNTS]
    assert reading.problems == ()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_damage_is_named_and_the_reply_estimated(encoding: str):
    """Bytes that are not what the header says, at the start and in the middle."""
    squeeze = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}
    good = squeeze[encoding](BODY)
    middle = len(good) // 2
    for bad in (b"\xff" * 300, good[:middle] + b"\xff" * 40 + good[middle + 40 :]):
        reading = read(Api.OPENAI_CHAT, bad, encoding=encoding)
        assert "bad_encoding" in reading.problems or billed(reading) != [CHAT_COUNTS]
        assert reading.state is UsageState.ESTIMATED
        assert reading.output_tokens


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip, gzip, gzip", "\u00e9", "x" * 10_000])
def test_an_encoding_that_nobody_knows_is_named_and_the_reply_estimated(encoding: str):
    """By its size."""
    reading = read(Api.OPENAI_CHAT, BODY, encoding=encoding)
    assert "unknown_encoding" in reading.problems
    assert reading.state is UsageState.ESTIMATED
    assert reading.output_tokens == -(-len(BODY) // 4)


@pytest.mark.parametrize("encoding", ["identity", "", " Identity ", "GZIP"])
def test_names_of_encodings_are_read_loosely(encoding: str):
    """Case, space, and the one that means none."""
    body = gzip.compress(BODY) if encoding == "GZIP" else BODY
    assert billed(read(Api.OPENAI_CHAT, body, encoding=encoding)) == [CHAT_COUNTS]


def test_several_members_are_one_reply():
    """gzip files may be laid end to end, zstd frames as well."""
    half = len(BODY) // 2
    for encoding, squeeze in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        body = squeeze(BODY[:half]) + squeeze(BODY[half:])
        for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
            assert billed(read(Api.OPENAI_CHAT, pieces, encoding=encoding)) == [CHAT_COUNTS]


def test_errors_are_inflated_too():
    """A refusal's body may be compressed."""
    body = gzip.compress(b'{"error":{"type":"rate_limit_error","message":"Slow down"}}')
    reading = read(Api.ANTHROPIC_MESSAGES, body, encoding="gzip", status=429)
    assert (reading.error_type, reading.error_message) == ("rate_limit_error", "Slow down")
