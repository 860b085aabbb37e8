"""Valet Studio: see what a schema change will do to a database before it does it."""

__version__ = "0.1.0"
