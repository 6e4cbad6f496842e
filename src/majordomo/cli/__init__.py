"""The command line: one file per command."""


def main() -> None:
    """Entry point of the ``majordomo`` command."""
    from majordomo.cli.app import run

    run()
