"""The SQL of this room: one statement each, named for its question or change. Read by ``record.statements``."""
