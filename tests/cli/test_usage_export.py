"""``majordomo usage export``: exact files, whole or not there, and the same memory whatever their size."""

import csv
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from recorded_rows import record, varied

Run = Callable[..., tuple[int, str, str]]
Query = Callable[..., list[tuple[object, ...]]]

NOW_US = int(time.time() * 1e6)
DAY_US = 86_400_000_000
FORMATS = ("csv", "parquet", "focus", "focus-parquet")
ROOT = Path(__file__).parents[2]

#: How much more memory a large file may take (MiB): a batch of rows; for Parquet a row group as objects, too.
ALLOWED = {"csv": 16, "focus": 16, "parquet": 80, "focus-parquet": 80}


@pytest.fixture
def traffic(postgres_dsn: str, tmp_path: Path) -> None:
    """Requests of all kinds of the last days."""
    record(postgres_dsn, tmp_path, varied(300, NOW_US - 3 * DAY_US, 3 * DAY_US))


def in_a_process(*arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, with its peak of memory."""
    command = [sys.executable, str(ROOT / "tests" / "stand_ins" / "peak_memory.py"), "usage", "export", *arguments]
    return subprocess.run(command, env={**os.environ, **more}, capture_output=True, check=False, timeout=300)


def read(name: str) -> list[dict[str, str]]:
    """The lines of a CSV file."""
    with Path(name).open(newline="") as file:
        return list(csv.DictReader(file))


def peak_mib(done: subprocess.CompletedProcess[bytes]) -> float:
    assert done.returncode == 0, done.stderr
    found = re.search(rb"peak (\d+)", done.stderr)
    assert found is not None
    return int(found[1]) / 1024


def test_a_file_has_every_request_with_the_sums_of_sql(majordomo: Run, traffic: None, query: Query) -> None:
    [(count, total)] = query("SELECT count(*), sum(total_cost) FROM llm_requests")
    code, out, err = majordomo("usage", "export", "--output", "all.csv")
    assert (code, out) == (0, "")
    assert f"{count} rows in all.csv" in err
    lines = read("all.csv")
    assert len(lines) == count
    assert sum(Decimal(line["total_cost"]) for line in lines if line["total_cost"]) == total
    assert majordomo("usage", "export", "--format", "parquet", "-o", "all.parquet")[0] == 0
    found = pq.read_table("all.parquet")
    assert found["id"].to_pylist() == [line["id"] for line in lines]
    assert majordomo("usage", "export", "--format", "focus-parquet", "-o", "focus.parquet")[0] == 0
    assert sum(pq.read_table("focus.parquet")["BilledCost"].to_pylist()) == total


def test_it_takes_the_filters_of_every_question(majordomo: Run, traffic: None, query: Query) -> None:
    filters = ("--model", "gpt-5", "--filter", "-Feature:chat", "--metadata", "user-id=user-3", "--last", "2d")
    wanted = query(
        "SELECT id::text FROM llm_requests WHERE model = 'gpt-5' AND raw_metadata->>'Feature' IS DISTINCT FROM 'chat'"
        " AND raw_metadata->>'User-Id' = 'user-3' AND requested_at >= now() - interval '2 days' ORDER BY requested_at"
    )
    assert majordomo("usage", "export", *filters, "--output", "some.csv")[0] == 0
    assert [(line["id"],) for line in read("some.csv")] == wanted
    assert majordomo("usage", "export", "--by", "model", "--output", "models.csv")[0] == 0
    [(models,)] = query("SELECT count(DISTINCT coalesce(model, '')) FROM llm_requests")
    assert len(read("models.csv")) == models


def test_without_a_file_it_goes_to_standard_output(
    majordomo: Run, traffic: None, query: Query, postgres_dsn: str
) -> None:
    done = in_a_process(MAJORDOMO_DATABASE_URL=postgres_dsn)
    assert done.returncode == 0
    lines = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [(line["id"],) for line in lines] == query("SELECT id::text FROM llm_requests ORDER BY requested_at, id")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--format", "xlsx"), "focus-parquet"),
        (("--format", "focus", "--by", "model"), "--by"),
        (("--by", "Nonsense"), "Feature"),
        (("--period", "ever"), "this_month"),
        (("--output", "no/such/folder/file.csv"), "cannot write"),
        (("--org", "nobody"), "orgs list"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_no_file(
    majordomo: Run, traffic: None, arguments: tuple[str, ...], word: str
) -> None:
    given = arguments if "--output" in arguments else (*arguments, "--output", "file.csv")
    code, _, err = majordomo("usage", "export", *given)
    assert code == 1
    assert word in err
    assert list(Path().glob("*.csv")) == list(Path().glob(".*.part")) == []


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(majordomo: Run, traffic: None, query: Query) -> None:
    """A cost that no exact decimal is breaks the export half-way: what stands under the name is the old file."""
    Path("all.parquet").write_text("old")
    query("UPDATE llm_requests SET total_cost = 'NaN' WHERE id = (SELECT max(id::text)::uuid FROM llm_requests)")
    with pytest.raises(Exception, match="NaN"):
        majordomo("usage", "export", "--format", "parquet", "--output", "all.parquet")
    assert Path("all.parquet").read_text() == "old"
    assert list(Path().glob(".*.part")) == []
    query("DELETE FROM llm_requests WHERE total_cost = 'NaN'")
    assert majordomo("usage", "export", "--format", "parquet", "--output", "all.parquet")[0] == 0
    assert pq.read_table("all.parquet").num_rows > 200


def test_memory_does_not_grow_with_the_file(traffic: None, query: Query, postgres_dsn: str, tmp_path: Path) -> None:
    """Forty thousand requests, each with its own metadata, against three hundred: some batches more, not the file."""
    peaks: dict[str, list[float]] = {form: [] for form in FORMATS}
    for size in ("few", "many"):
        for form, found in peaks.items():
            file = ("--output", str(tmp_path / f"{size}.{form}"))
            found.append(peak_mib(in_a_process("--format", form, *file, MAJORDOMO_DATABASE_URL=postgres_dsn)))
        if size == "few":
            multiply(query, 40_000)
    for form, (few, many) in peaks.items():
        assert many < few + ALLOWED[form], peaks
    assert (tmp_path / "many.csv").stat().st_size > 2 * ALLOWED["csv"] << 20
    [(count, total)] = query("SELECT count(*), sum(total_cost) FROM llm_requests")
    found_ids = pq.read_table(tmp_path / "many.parquet", columns=["id"])["id"]
    assert len(set(found_ids.to_pylist())) == count
    assert sum(pq.read_table(tmp_path / "many.focus-parquet")["BilledCost"].to_pylist()) == total


def multiply(query: Query, least: int) -> None:
    """Copies of the rows that are there, at other times, under other ids and with a metadata value of their own."""
    [(there,)] = query("SELECT count(*) FROM llm_requests")
    attributes = query(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'llm_requests'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    names = [str(name) for (name,) in attributes]
    changed = {
        "id": "gen_random_uuid()",
        "requested_at": "r.requested_at - n * interval '7 seconds'",
        "raw_metadata": "jsonb_build_object('Text', repeat(md5(n::text), 6))",
    }
    values = ", ".join(changed.get(name, f"r.{name}") for name in names)
    query(
        f"INSERT INTO llm_requests ({', '.join(names)}) SELECT {values} FROM llm_requests r, generate_series(1, $1) n",
        least // int(str(there)) + 1,
    )
