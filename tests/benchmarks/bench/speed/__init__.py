"""The page docs/speed.md, from the files that the benchmark scripts write."""
