"""The `valet-studio` command, which `python -m valet_studio` runs as well."""

from __future__ import annotations

import gc
import sys

LOADING_THRESHOLD = 50_000
"""Objects made until garbage is looked for, instead of 700: to load a module makes many and drops
next to none."""


def main() -> None:
    """Run the command that `sys.argv` names, and exit with its code."""
    gc.set_threshold(LOADING_THRESHOLD, *gc.get_threshold()[1:])
    try:
        from valet_studio.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # It came while modules were loaded: nothing was begun.
    finally:
        # At its exit Python would look through all modules for garbage.
        gc.freeze()


if __name__ == "__main__":
    main()
