"""``python -m majordomo`` is the ``majordomo`` command."""

from majordomo.cli import main

if __name__ == "__main__":
    main()
