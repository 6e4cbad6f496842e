"""The benchmark: each contender on one pinned core against the same upstream, in one run. See docs/benchmark.md."""
