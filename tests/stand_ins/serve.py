"""Runs the real supervisor over stand-ins, with further settings from the environment.

serve.py DATA_DIR PORT WORKERS 'FRONT ARGS' 'BACK ARGS'
"""

import shlex
import sys
from pathlib import Path

from majordomo import logs
from majordomo.cli.serve import _print as show
from majordomo.cli.serve import banner
from majordomo.settings import load_settings
from majordomo.supervisor import Programs, Supervisor

CHILD = str(Path(__file__).with_name("child.py"))


def main() -> None:
    data_dir, port, workers, front, back = sys.argv[1:]
    logs.set_up("info", "json")
    settings = load_settings(data_dir=Path(data_dir), port=int(port), workers=int(workers))
    programs = Programs(
        (sys.executable, CHILD, "front", *shlex.split(front)), (sys.executable, CHILD, "back", *shlex.split(back))
    )
    supervisor = Supervisor(settings, lambda running: show(banner(settings, running)), programs=programs)
    try:
        sys.exit(supervisor.run())
    except Exception as wrong:
        if not type(wrong).__module__.startswith("majordomo."):
            raise
        sys.stderr.write(f"majordomo: {wrong}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
