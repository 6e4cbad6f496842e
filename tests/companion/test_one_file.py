"""The one file that ``make build-companion`` makes: it runs where there is a Python and nothing else.

Each test has an empty home, no environment, and the interpreter alone, without any package of the tests'.
"""

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from majordomo import __version__
from majordomo.companion import pack, unpack

#: Seconds. Unpacking takes one; a busy machine gets more.
PATIENCE = 60.0


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file for the Python that runs the tests."""
    output = tmp_path_factory.mktemp("one-file") / "majordomo-companion"
    list(pack.build(output))
    return output


class Machine:
    """One with a bare Python: nothing installed, nothing set."""

    def __init__(self, folder: Path, file: Path) -> None:
        self.file = file
        self.home = folder / "home"
        self.temporary = folder / "temporary"
        bare = folder / "bin"
        for place in (self.home, self.temporary, bare):
            place.mkdir()
        (bare / "python3").symlink_to(sys._base_executable)
        self.environment = {"PATH": f"{bare}:/usr/bin:/bin", "HOME": str(self.home), "TMPDIR": str(self.temporary)}
        self.cache = self.home / ".cache" / "majordomo-companion"

    def start(self, *words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen([self.file, *words], env=self.environment, text=True, stdout=pipe, stderr=pipe)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit code and what was printed."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err

    def place(self) -> Path:
        """The one directory that it was unpacked into."""
        (found,) = self.cache.iterdir()
        return found


@pytest.fixture
def machine(tmp_path: Path, built: Path) -> Machine:
    return Machine(tmp_path, built)


#: A child that asks its proxy for a sign of life.
ASKING = """
import os, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
direct.open(os.environ["ANTHROPIC_BASE_URL"] + "/health")
print(4711)
raise SystemExit(7)
"""

VERSION = (0, f"majordomo-companion {__version__}\n", "")


def parts(file: Path) -> dict[str, list[str]]:
    """The names in each part of the file."""
    with zipfile.ZipFile(file) as outer:
        inner = [name for name in outer.namelist() if name.endswith(".zip")]
        return {name: zipfile.ZipFile(BytesIO(outer.read(name))).namelist() for name in inner}


def test_it_runs_a_command_with_every_module_it_may_need(machine: Machine):
    """From every command's help to a session that is served: uvloop, httptools, msgspec and the prices are loaded."""
    assert machine.run("--version") == VERSION
    for command in ("exec", "start", "stop", "setup", "doctor", "deliver"):
        code, out, err = machine.run(command, "--help")
        assert (code, err) == (0, ""), command
        assert "usage: majordomo-companion" in out
    code, out, err = machine.run("exec", "--standalone", "--", "python3", "-c", ASKING)
    assert (code, out) == (7, "4711\n"), err
    assert "session" in err
    code, out, err = machine.run("doctor", "--json")
    assert code == 1  # no gateway runs here
    assert '"check": "gateway"' in out
    assert err == ""


def test_it_goes_to_the_background_and_is_stopped(machine: Machine):
    pid_file = machine.home / "companion.pid"
    code, out, err = machine.run("start", "--standalone", "--detach", "--pid-file", str(pid_file))
    assert (code, err) == (0, "")
    assert out.startswith("http://127.0.0.1:")
    assert pid_file.exists()
    assert machine.run("stop", "--pid-file", str(pid_file))[0] == 0
    assert not pid_file.exists()


def test_every_module_in_it_can_be_imported(machine: Machine):
    machine.run("--version")
    place = machine.place()
    names = [
        ".".join(path.relative_to(place).with_suffix("").parts).removesuffix(".__init__")
        for path in (place / "majordomo").rglob("*.py")
    ]
    assert len(names) > 80
    names = sorted(set(names) - {"majordomo.companion.__main__"})
    program = f"import sys; sys.path[0:0] = [{str(place)!r}]\nfor name in {names!r}: __import__(name)"
    bare = [sys._base_executable, "-IS", "-c", program]
    done = subprocess.run(bare, capture_output=True, text=True, timeout=PATIENCE, env=machine.environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_holds_what_the_companion_needs_and_nothing_of_the_gateways_own(built: Path):
    names = {name for part in parts(built).values() for name in part}
    tops = {name.partition("/")[0] for name in names if not name.partition("/")[0].endswith(".dist-info")}
    modules = {top.partition(".")[0] for top in tops}
    assert modules == {
        "majordomo", "_brotli", "brotli", "httptools", "msgspec", "platformdirs", "structlog", "uvloop", "zstandard",
    }  # fmt: skip
    ours = {name.split("/")[1] for name in names if name.startswith("majordomo/") and name.count("/") > 1}
    assert not ours & {"report", "cli", "demo"}
    assert not any("postgres" in name or "asyncpg" in name for name in names)
    assert any("licenses/" in name or "LICENSE" in name for name in names)


def test_it_is_unpacked_once_privately_and_found_again(machine: Machine):
    assert machine.run("--version") == VERSION
    place = machine.place()
    before = {path: path.stat().st_ino for path in place.rglob("*")}
    assert any(path.suffix == ".pyc" for path in before)
    for folder in (machine.cache, place):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert machine.run("--version") == VERSION
    assert {path: path.stat().st_ino for path in place.rglob("*")} == before


def test_many_first_starts_at_once_all_work_and_leave_one_directory(machine: Machine):
    started = [machine.start("--version") for _ in range(5)]
    for process in started:
        with process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == VERSION
    assert machine.place().is_dir()


@pytest.mark.parametrize("damage", ["a file gone", "a file cut", "half a directory"])
def test_a_damaged_directory_is_made_anew(machine: Machine, damage: str):
    machine.run("--version")
    place = machine.place()
    if damage == "a file gone":
        next((place / "msgspec").glob("_core*.so")).unlink()
    elif damage == "a file cut":
        os.truncate(place / "majordomo" / "companion" / "cli.py", 10)
    else:
        (place / "files").unlink()
        shutil.rmtree(place / "structlog")
    assert machine.run("--version") == VERSION
    assert next((machine.place() / "msgspec").glob("_core*.so")).exists()
    assert machine.run("exec", "--help")[0] == 0


def test_a_directory_that_others_can_write_is_not_trusted(machine: Machine):
    machine.run("--version")
    place = machine.place()
    (place / "majordomo" / "companion" / "cli.py").write_text("raise SystemExit('planted')")
    machine.cache.chmod(0o777)
    assert machine.run("--version") == VERSION
    (elsewhere,) = machine.temporary.iterdir()
    assert elsewhere.name == f"majordomo-companion-{os.geteuid()}"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700


def test_without_a_place_to_unpack_into_it_says_what_to_do(machine: Machine):
    (machine.home / ".cache").write_text("")
    (machine.temporary / f"majordomo-companion-{os.geteuid()}").symlink_to(machine.home)
    code, out, err = machine.run("--version")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "XDG_CACHE_HOME" in err


def test_a_damaged_file_says_so_and_leaves_nothing(machine: Machine, tmp_path: Path):
    content = bytearray(machine.file.read_bytes())
    at = content.find(b"PK", content.find(b"pure.zip") + 4096)
    content[at + 40] ^= 0xFF
    machine.file = tmp_path / "damaged"
    machine.file.write_bytes(content)
    machine.file.chmod(0o755)
    code, out, err = machine.run("--version")
    assert (code, out) == (1, "")
    assert "damaged" in err
    assert list(machine.cache.iterdir()) == []


def test_where_there_is_no_python_it_says_what_it_needs(machine: Machine):
    machine.environment["PATH"] = str(machine.temporary)
    code, _, err = machine.run("--version")
    assert code == 1
    assert "needs Python 3.11" in err


@pytest.mark.parametrize(
    ("platform", "native", "said"),
    [
        ("plan9 vax", "cpython-311-x86_64-linux-gnu", "built for plan9 vax"),
        (f"{sys.platform} {os.uname().machine}", "cpython-399-x86_64-linux-gnu", "CPython 3.99"),
    ],
    ids=["platform", "python"],
)
def test_another_platform_or_python_is_told_and_nothing_is_unpacked(
    platform: str, native: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HOME", "/nowhere")
    told = {"version": "1", "platform": platform, "digest": "0" * 64, "pure": ("", ""), "native": {native: ("", "")}}
    with pytest.raises(SystemExit) as ended:
        unpack.main(told)
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert said in err
    assert "make build-companion" in err


def test_a_python_that_fits_is_looked_for_when_the_first_does_not(machine: Machine, tmp_path: Path):
    """An older ``python3`` stands first in PATH, as on many machines; it is played by a script."""
    bare = tmp_path / "bin"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (bare / "python3").unlink()
    (bare / f"python{version}").symlink_to(sys._base_executable)
    # What the archive does on a Python for which it has no compiled modules.
    (bare / "python3").write_text(
        f"#!{sys._base_executable} -IS\nimport sys, runpy\n"
        "import importlib.machinery as m\nm.EXTENSION_SUFFIXES[0] = '.cpython-310-other.so'\n"
        "sys.argv = sys.argv[2:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    (bare / "python3").chmod(0o755)
    assert machine.run("--version") == VERSION


def test_the_same_content_gives_the_same_bytes_whatever_its_order():
    files = {"b.py": b"2", "a.py": b"1"}
    assert pack.packed(files) == pack.packed(dict(sorted(files.items())))


def test_a_package_that_is_not_allowed_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pack, "ALLOWED", pack.ALLOWED - {"structlog"})
    with pytest.raises(pack.PackError, match="would carry structlog"):
        list(pack.build(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []
