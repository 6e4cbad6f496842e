"""Room 4: what did it cost? Catalogue, rate cards, calculation, hourly feed."""
