"""The commands of ``majordomo-companion``: one file per command."""
