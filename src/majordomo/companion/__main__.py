"""``python -m majordomo.companion``."""

from majordomo.companion.cli import main

if __name__ == "__main__":
    main()
