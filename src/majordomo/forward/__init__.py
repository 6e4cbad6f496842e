"""Room 2: send it on, byte for byte: server protocol, upstream pool, routes, one exchange."""
