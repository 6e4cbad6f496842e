"""Room 3: read what was used: SSE, bodies, one reader per API family."""
