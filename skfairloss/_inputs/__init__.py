"""Checks and readings of arguments: groups, columns, parameters, arrays."""
