"""The commands of ``majordomo-companion``: one file for each, with its ``parser()`` and its ``run(arguments)``."""
