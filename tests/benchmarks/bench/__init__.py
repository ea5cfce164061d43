"""What the benchmark scripts share: cases, fits, peers, timing, tables and the command line."""
