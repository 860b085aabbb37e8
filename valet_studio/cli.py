"""The command line."""

from __future__ import annotations


def main() -> None:
    """Run the `valet-studio` command."""
    raise NotImplementedError
