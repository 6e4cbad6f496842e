"""Room 6: tell people: health, metrics, questions over the rows."""
