"""Histories in everybody's formats, read into `Operations` and written from them.

A format is a module with `read(lines, source) -> Operations` and `write(operations, out)`, registered under the kind
`format` (`chaoskit.registry`); `open.py` finds out which one a file is in, and opens it (gzip, standard input).
"""
