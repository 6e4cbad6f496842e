"""What holds for every reader and every sample: exact when whole, in whatever pieces, and sane when cut."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from meter_samples import FACTS, LIMIT, SAMPLES, Sample, billed, read, tokens

from majordomo.apis import Api
from majordomo.meter.readers import READERS, reader_for
from majordomo.meter.reading import RequestFacts, UsageState

COUNT_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_creation_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "reasoning_tokens",
    "prompt_tokens",
)
#: What a cut reply of these lacks is told again: an estimate would be billed besides.
TOLD_AGAIN = frozenset({Api.ANTHROPIC_BATCH_RESULTS, Api.OPENAI_RESPONSE})
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def check(reading, sample: Sample) -> None:
    assert billed(reading) == sample.counts
    assert {column: getattr(reading, column) for column in sample.columns} == sample.columns


def check_sane(reading) -> None:
    assert all(amount > 0 for part in reading.parts for amount in part.counts.values())
    assert all((getattr(reading, column) or 0) >= 0 for column in COUNT_COLUMNS)
    assert "reader_failed" not in reading.problems
    if reading.usage is not None:
        reading.usage.decode()


def test_every_api_that_bills_has_a_sample():
    """No reader goes without a golden reply."""
    assert {sample.api for sample in SAMPLES} == set(READERS)


@every_sample
def test_a_whole_reply_is_read_exactly(sample: Sample):
    """Buckets and columns are those worked out by hand."""
    check(read(sample.api, sample.body, sample.content_type, facts=sample.facts), sample)


@every_sample
def test_the_buckets_add_up_to_the_providers_own_total(sample: Sample):
    """Every billed token stands in exactly one bucket."""
    reading = read(sample.api, sample.body, sample.content_type, facts=sample.facts)
    if sample.total is not None:
        assert tokens(reading.parts) == sample.total
    else:
        assert tokens(reading.parts) == 0


@every_sample
def test_byte_by_byte_reads_the_same(sample: Sample):
    """Where the network cuts makes no difference: single bytes."""
    pieces = [sample.body[i : i + 1] for i in range(len(sample.body))]
    check(read(sample.api, pieces, sample.content_type, facts=sample.facts), sample)


@every_sample
def test_every_cut_in_two_reads_the_same(sample: Sample):
    """Where the network cuts makes no difference: two pieces, at every place."""
    for cut in range(len(sample.body) + 1):
        pieces = [sample.body[:cut], sample.body[cut:]]
        check(read(sample.api, pieces, sample.content_type, facts=sample.facts), sample)


@every_sample
def test_truncation_anywhere_never_raises_nor_claims_what_it_does_not_know(sample: Sample):
    """A reply that broke off anywhere has a sane reading, and is final only with the exact counts."""
    for length in range(len(sample.body)):
        reading = read(sample.api, sample.body[:length], sample.content_type, facts=sample.facts, complete=False)
        check_sane(reading)
        assert "cut" in reading.problems
        if sample.api in TOLD_AGAIN and reading.state is not UsageState.FINAL:
            assert (reading.state, reading.parts, reading.billed_once) == (UsageState.NONE, (), None)
            continue
        if reading.state is UsageState.FINAL:
            assert billed(reading) == sample.counts
        else:
            assert reading.state is UsageState.ESTIMATED
            assert reading.parts


@every_sample
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd", "gzip, br"])
def test_compressed_replies_read_the_same(sample: Sample, encoding: str):
    """Whole and byte by byte, in every encoding that SDKs accept."""
    squeeze = {
        "gzip": gzip.compress,
        "x-gzip": gzip.compress,
        "deflate": zlib.compress,
        "raw deflate": lambda body: zlib.compress(body, wbits=-15),
        "br": brotli.compress,
        "zstd": zstandard.compress,
        "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
    }[encoding]
    body = squeeze(sample.body)
    header = encoding.removeprefix("raw ")
    for pieces in ([body], [body[i : i + 1] for i in range(len(body))]):
        check(read(sample.api, pieces, sample.content_type, facts=sample.facts, encoding=header), sample)


@every_sample
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_compressed_reply_cut_anywhere_gives_what_was_readable(sample: Sample, encoding: str):
    """Truncated at every length it has a sane reading."""
    squeeze = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress}[encoding]
    body = squeeze(sample.body)
    for length in range(len(body)):
        reading = read(
            sample.api, body[:length], sample.content_type, facts=sample.facts, encoding=encoding, complete=False
        )
        check_sane(reading)


@every_sample
def test_finishing_twice_gives_the_same_reading(sample: Sample):
    """``finish`` is idempotent."""
    reader = reader_for(sample.api, status=200, content_type=sample.content_type, content_encoding="", limit=LIMIT)
    reader.feed(sample.body)
    assert reader.finish(sample.facts, complete=True) is reader.finish(RequestFacts(), complete=False)


@every_sample
def test_the_kind_of_reply_is_seen_without_a_content_type(sample: Sample):
    """A server that forgets to say whether it sends events is read all the same."""
    content_type = sample.content_type if sample.api is Api.OPENAI_SPEECH else ""
    if sample.name == "generate stream as an array":
        content_type = "text/plain"
    check(read(sample.api, sample.body, content_type, facts=sample.facts), sample)
    pieces = [sample.body[i : i + 1] for i in range(len(sample.body))]
    check(read(sample.api, pieces, content_type, facts=sample.facts), sample)


@pytest.mark.parametrize("api", sorted(set(Api) - set(READERS)), ids=str)
def test_endpoints_that_bill_nothing_use_nothing(api: Api):
    """Token counts, model lists, moderations and the like: whatever their bodies say."""
    reading = read(api, b'{"usage": {"prompt_tokens": 5, "input_tokens": 5}, "totalTokens": 31}')
    assert reading.state is UsageState.NONE
    assert reading.parts == ()
    assert reading.input_tokens is None


@pytest.mark.parametrize("api", sorted(READERS), ids=str)
def test_a_caller_who_hung_up_before_the_first_byte_has_an_estimated_row(api: Api):
    """The provider has the request: its input is estimated, never nothing at all."""
    reading = read(api, b"", complete=False)
    if api in TOLD_AGAIN:
        assert reading.state is UsageState.NONE
    elif api is Api.OPENAI_SPEECH:
        assert reading.state is UsageState.ESTIMATED
        assert billed(reading) == [{"characters": FACTS.input_bytes}]
    else:
        assert reading.state is UsageState.ESTIMATED
        assert reading.parts[0].counts


def test_no_body_is_read_of_a_reply_that_has_none():
    """204 and 304 use nothing."""
    assert read(Api.OPENAI_CHAT, b"", status=204).state is UsageState.NONE
