"""The journal: what was appended is read, whatever happens to the disk."""

import errno
import os
import subprocess
import sys
import textwrap

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from majordomo.record import journal as journal_module
from majordomo.record.frames import Close, Opening
from majordomo.record.framing import OPENING, close_frame, opening_frame
from majordomo.record.journal import Journal, JournalFull
from majordomo.record.segments import journal_folders, segment_numbers, segment_path, try_lock
from majordomo.record.tail import Tail


def _read_all(folder, damages=None, ended=True):
    tail = Tail(folder, 0, 0, damages.append if damages is not None else lambda damage: pytest.fail(str(damage)))
    messages = []
    while frames := tail.read(ended=ended):
        for kind, payload, _ in frames:
            messages.append(msgspec.msgpack.decode(payload, type=Opening if kind == OPENING else Close))
    tail.close()
    return messages


def test_what_is_appended_is_read_in_order_across_segments(new_journal, made):
    """Openings and closes come back as they went in, over as many segments as they fill."""
    journal = new_journal(2048)
    openings = [made.opening() for _ in range(40)]
    for opening in openings:
        journal.append_opening(opening)
        journal.append_close(made.close(opening))
    assert _read_all(journal.folder, ended=False) == [
        message for opening in openings for message in (opening, made.close(opening))
    ]
    assert len(segment_numbers(journal.folder)) > 5
    journal.close()


def test_files_are_private(new_journal, made):
    """Nobody but the owner may read a journal."""
    journal = new_journal()
    journal.append_opening(made.opening())
    assert journal.folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in journal.folder.iterdir())
    journal.close()


def test_the_lock_is_held_while_the_process_lives(new_journal):
    """A journal counts as ended only once its process has let the lock go."""
    journal = new_journal()
    assert try_lock(journal.folder) is None
    journal.close()
    lock = try_lock(journal.folder)
    assert lock is not None
    os.close(lock)


def test_a_killed_process_loses_nothing_it_appended(journal_dir, tmp_path):
    """kill -9 right after an append leaves a journal that is unlocked and has every frame."""
    script = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(journal_module.__file__.rsplit("/majordomo/", 1)[0])!r})
        from majordomo.record.journal import Journal
        from majordomo.record.frames import Opening
        journal = Journal.create(Path({str(journal_dir)!r}), segment_bytes=4096, now_us=1)
        for number in range(100):
            journal.append_opening(Opening(id=number.to_bytes(16), requested_at=1, api_key_id=bytes(16), org_id=None,
                provider="p", api="a", method="POST", path="/", provider_key_hash=None, provider_key_alias=None,
                metadata={{}}))
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    [(_, folder)] = journal_folders(journal_dir)
    lock = try_lock(folder)
    assert lock is not None
    os.close(lock)
    assert [message.id for message in _read_all(folder)] == [number.to_bytes(16) for number in range(100)]


class FullDisk:
    """Stands between a journal and ``os.write``: takes ``space`` bytes, then no more."""

    def __init__(self, space, error=errno.ENOSPC, short=True):
        self.space = space
        self.error = error
        self.short = short

    def write(self, descriptor, data):
        if self.space <= 0 or (not self.short and self.space < len(data)):
            raise OSError(self.error, os.strerror(self.error))
        written = _WRITE(descriptor, data[: self.space])
        self.space -= written
        return written


_WRITE = os.write
_TRUNCATE = os.ftruncate


@pytest.mark.parametrize(("error", "short"), [(errno.ENOSPC, True), (errno.ENOSPC, False), (errno.EIO, True)])
def test_a_full_disk_refuses_whole_frames_and_recovers(new_journal, made, monkeypatch, error, short):
    """A frame that did not fit leaves nothing behind; with space back, appending goes on."""
    journal = new_journal()
    disk = FullDisk(700, error, short)
    monkeypatch.setattr(os, "write", disk.write)
    taken = []
    for _ in range(10):
        opening = made.opening()
        try:
            journal.append_opening(opening)
            taken.append(opening)
        except JournalFull:
            pass
    assert 0 < len(taken) < 10
    disk.space = 10**6
    last = made.opening()
    journal.append_opening(last)
    assert _read_all(journal.folder, ended=False) == [*taken, last]
    journal.close()


def test_when_even_taking_back_fails_the_next_segment_goes_on(new_journal, made, monkeypatch):
    """A partial frame that cannot be cut off ends its segment; readers report it and lose nothing that was accepted."""
    journal = new_journal()
    first, refused, last = made.opening(), made.opening(), made.opening()
    journal.append_opening(first)
    monkeypatch.setattr(os, "write", FullDisk(20).write)

    def broken(descriptor, length):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "ftruncate", broken)
    with pytest.raises(JournalFull):
        journal.append_opening(refused)
    monkeypatch.setattr(os, "write", _WRITE)
    monkeypatch.setattr(os, "ftruncate", _TRUNCATE)
    journal.append_opening(last)
    damages = []
    assert _read_all(journal.folder, damages, ended=False) == [first, last]
    assert [(damage.reason, damage.length) for damage in damages] == [("torn", 20)]
    journal.close()


def test_closes_wait_in_memory_for_a_full_disk(new_journal, made, monkeypatch):
    """A request that ends while the disk is full is not lost: its close is written once there is space."""
    journal = new_journal()
    openings = [made.opening() for _ in range(3)]
    for opening in openings:
        journal.append_opening(opening)
    disk = FullDisk(0)
    monkeypatch.setattr(os, "write", disk.write)
    closes = [made.close(opening) for opening in openings]
    for close in closes:
        journal.append_close(close)
    assert journal.owed == 3
    with pytest.raises(JournalFull):
        journal.append_opening(made.opening())
    disk.space = 10**6
    journal.settle()
    assert journal.owed == 0
    assert _read_all(journal.folder, ended=False) == [*openings, *closes]
    journal.close()


def test_memory_for_owed_closes_has_an_end(new_journal, made, monkeypatch):
    """When the disk stays full, closes are refused rather than filling memory."""
    journal = new_journal()
    monkeypatch.setattr(os, "write", FullDisk(0).write)
    monkeypatch.setattr(journal_module, "MAX_OWED_BYTES", 1500)
    close = made.close(made.opening())
    with pytest.raises(JournalFull):
        for _ in range(10):
            journal.append_close(close)
    assert 0 < journal.owed < 10
    monkeypatch.setattr(os, "write", _WRITE)
    journal.close()


def test_a_live_torn_tail_is_waited_for(new_journal, made):
    """Half a frame at the end of a living journal is no damage: the reader waits for the rest."""
    journal = new_journal()
    journal.append_opening(made.opening())
    second = made.opening()
    frame = opening_frame(second)
    path = segment_path(journal.folder, 0)
    tail = Tail(journal.folder, 0, 0, lambda damage: pytest.fail(str(damage)))
    assert len(tail.read(ended=False)) == 1
    for cut in (1, 8, 9, len(frame) - 1):
        with path.open("ab") as file:
            file.write(frame[:cut])
        assert tail.read(ended=False) == []
        os.truncate(path, path.stat().st_size - cut)
    with path.open("ab") as file:
        file.write(frame)
    assert len(tail.read(ended=False)) == 1
    tail.close()
    journal.close()


def _segments(folder, made, counts):
    """Writes segments of given numbers of openings; returns all openings, segment by segment."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    segments = []
    for number, count in enumerate(counts):
        openings = [made.opening() for _ in range(count)]
        segment_path(folder, number).write_bytes(b"".join(map(opening_frame, openings)))
        segments.append(openings)
    return segments


def test_a_dead_journal_cut_anywhere_keeps_everything_whole(tmp_path, made):
    """Cut the last segment of a dead journal at any byte: all whole frames are read, the rest is told once."""
    folder = tmp_path / "dead"
    first, second = _segments(folder, made, [2, 2])
    path = segment_path(folder, 1)
    data = path.read_bytes()
    size = len(opening_frame(second[0]))
    for cut in range(0, len(data) + 1, 3):
        path.write_bytes(data[:cut])
        damages = []
        assert _read_all(folder, damages) == first + second[: cut // size if cut < len(data) else 2]
        assert len(damages) == (1 if cut % size and cut < len(data) else 0)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_costs_only_the_frames_it_hit(tmp_path, made, data):
    """Bits flipped, bytes zeroed or overwritten in one frame lose that frame, no other, in no segment."""
    folder = tmp_path / "damaged"
    segments = _segments(folder, made, [3, 3, 3])
    which = data.draw(st.integers(0, 2))
    index = data.draw(st.integers(0, 2))
    path = segment_path(folder, which)
    content = bytearray(path.read_bytes())
    size = len(content) // 3
    start = index * size + data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, (index + 1) * size - start))
    noise = data.draw(st.one_of(st.just(bytes(length)), st.binary(min_size=length, max_size=length)))
    changed = content[start : start + length] != noise
    content[start : start + length] = noise
    path.write_bytes(content)
    everything = [opening for segment in segments for opening in segment]
    hit = segments[which][index]
    damages = []
    assert _read_all(folder, damages) == [opening for opening in everything if not changed or opening is not hit]
    assert bool(damages) == changed
    if changed:
        assert sum(damage.length for damage in damages) == size


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=st.binary(max_size=3000), zeros=st.integers(0, 5000))
def test_garbage_segments_never_hide_later_ones(tmp_path, made, junk, zeros):
    """A segment of arbitrary bytes and a zero-filled tail are passed over; the segments behind them are read."""
    folder = tmp_path / "garbage"
    [openings] = _segments(folder, made, [2])
    segment_path(folder, 1).write_bytes(junk + bytes(zeros))
    late = made.opening()
    segment_path(folder, 2).write_bytes(opening_frame(late) + close_frame(made.close(late)))
    damages = []
    assert _read_all(folder, damages) == [*openings, late, made.close(late)]
    assert bool(damages) == bool(junk or zeros)


def test_a_missing_segment_is_told_and_passed_over(tmp_path, made):
    """Somebody deleted a segment in the middle: the later ones are still read."""
    folder = tmp_path / "missing"
    first, _, third = _segments(folder, made, [1, 1, 1])
    segment_path(folder, 1).unlink()
    damages = []
    assert _read_all(folder, damages) == first + third
    tail = Tail(folder, 1, 0, damages.append)
    assert len(tail.read(ended=False)) == 1
    assert damages[-1].reason == "missing"
    tail.close()


def test_a_frame_longer_than_a_read_is_read_whole(new_journal, made):
    """A frame larger than the reader's chunk comes back like any other."""
    journal = new_journal()
    large = made.opening(metadata={"Large": "x" * 300_000})
    after = made.opening()
    journal.append_opening(large)
    journal.append_opening(after)
    tail = Tail(journal.folder, 0, 0, lambda damage: pytest.fail(str(damage)))
    sizes = []
    while frames := tail.read(ended=False, limit=64 * 1024):
        sizes += [len(frame.payload) for frame in frames]
    assert len(sizes) == 2
    assert sizes[0] > 300_000
    tail.close()
    journal.close()


def test_journals_made_at_once_do_not_meet(journal_dir):
    """Each process has its own folder; an unfinished one is not seen by a writer."""
    journals = [Journal.create(journal_dir, segment_bytes=4096, now_us=1) for _ in range(5)]
    (journal_dir / ".half-made").mkdir()
    (journal_dir / "no-uuid").mkdir()
    assert {folder for _, folder in journal_folders(journal_dir)} == {journal.folder for journal in journals}
    for journal in journals:
        journal.close()
