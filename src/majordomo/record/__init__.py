"""Room 5: never lose it: frames, journal, writer, database, migrations."""
