"""What can be asked about usage: each question takes a connection and a ``Scope`` and gives a typed, exact answer.

The command line asks them now; the control API, exports and MCP ask the same ones.
"""
