"""The real Claude Code command line tool between a test and a scripted provider, on a network of loopback alone.

``loopback.py`` makes the network, ``provider.py`` answers as a test tells it and keeps a ledger, ``cli.py`` runs the
tool; ``fixtures.py`` puts them together.
"""
