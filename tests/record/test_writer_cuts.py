"""The writer's connection cut behind each of its statements in turn: what is done and not confirmed happens once."""

import asyncio
import contextlib
import re
from urllib.parse import quote, unquote

import asyncpg
import pytest

from majordomo.meter.claude_code import ClaudeDetails
from majordomo.record.database import DatabaseUnreachableError
from majordomo.record.dead_letter import dead_letters
from majordomo.record.segments import journal_folders
from majordomo.record.writer import Writer


class Cutter:
    """Stands between a writer and PostgreSQL, and hangs up when the server has done what it was asked, unheard."""

    def __init__(self, behind: str, after: int) -> None:
        self.cut = False
        self._behind = behind
        self._left = after

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        from_server, to_server = await asyncio.open_unix_connection(self._behind)
        back = asyncio.create_task(self._back(from_server, writer))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            size = await reader.readexactly(4)  # the first message has no type
            to_server.write(size + await reader.readexactly(int.from_bytes(size) - 4))
            while not self.cut:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] in (b"S", b"Q", b"c"):  # Sync, Query, CopyDone: the server now does something
                    self._left -= 1
                    self.cut = self._left == 0
                to_server.write(head + body)
        if self.cut:
            await back  # the server has answered, so it has done it
        writer.close()
        to_server.close()
        back.cancel()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self.cut:
                    return
                writer.write(data)


@pytest.mark.parametrize("requests", [3, 40])
def test_whichever_statement_was_the_last_each_request_is_stored_once(
    postgres_dsn,
    new_journal,
    made,
    journal_dir,
    dead_letter_dir,
    tmp_path,
    drained,
    sql,
    api_key,
    assert_rollups_match,
    requests,
):
    """Segments come and go, metadata is indexed, a request is lost: a batch writes to every table it ever does."""
    sql(
        "INSERT INTO llm_requests_metadata_keys (majordomo_api_key_id, key_name, is_active) VALUES ($1, 'Team', true)",
        api_key,
    )
    host = re.search(r"host=([^&]*)", postgres_dsn)
    port = re.search(r"port=(\d+)", postgres_dsn)
    through = postgres_dsn.replace(host[0], f"host={quote(str(tmp_path), safe='')}")
    name = f".s.PGSQL.{port[1]}"

    async def move(after: int) -> bool:
        cutter = Cutter(f"{unquote(host[1])}/{name}", after)
        server = await asyncio.start_unix_server(cutter.serve, tmp_path / name)
        writer = Writer(through, journal_dir, dead_letter_dir)
        try:
            await asyncio.wait_for(writer.drain(), 20)
        except (DatabaseUnreachableError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            assert cutter.cut
        finally:
            await writer.close()
            server.close()
        return cutter.cut

    count = after = 0
    cut = True
    while cut:
        after += 1
        journal = new_journal(8192)
        for number in range(requests):
            opening = made.opening(metadata={"Team": f"team-{number % 3}"}, claude_session=f"{count % 7:032x}")
            journal.append_opening(opening)
            if number != 1:
                journal.append_close(made.close(opening, claude=ClaudeDetails(usage_cost=0.25)))
            count += 1
        journal.close()
        cut = asyncio.run(move(after))
        drained()
        [stored] = sql("SELECT count(*) AS rows, count(DISTINCT id) AS ids FROM llm_requests")
        assert tuple(stored) == (count, count), f"cut behind statement {after}"
        assert list(journal_folders(journal_dir)) == []
    assert after > 10
    assert sql("SELECT request_count FROM api_keys")[0]["request_count"] == count
    assert sql("SELECT count(*) FROM llm_requests WHERE outcome = 'lost'")[0][0] == after
    [details] = sql(
        "SELECT count(*) AS details, count(DISTINCT llm_request_id) AS requests FROM claude_request_details"
    )
    assert tuple(details) == (count - after, count - after)
    [sessions] = sql("SELECT count(*), sum(total_requests), sum(usage_cost) FROM claude_sessions")
    assert tuple(sessions) == (7, count, 0.25 * (count - after))
    assert list(dead_letters(dead_letter_dir)) == []
    assert sql("SELECT count(*) FROM journal_openings")[0][0] == 0
    assert_rollups_match()
