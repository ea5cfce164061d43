"""Rows that are not in one array: what a pass over them asks, and how its sums come together."""
