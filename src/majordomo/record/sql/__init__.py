"""The SQL of this room: one statement each, named for the question or change it makes. Read by ``record.statements``."""
