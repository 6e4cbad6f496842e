"""How quickly reports answer over ten million requests, and what that costs the writer. See docs/benchmark.md."""
