"""Consistency models, one a file: `MODEL` has a name, its functions and levels, and `check(operations, options)`."""
