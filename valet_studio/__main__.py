"""``python -m valet_studio``: the same as the ``valet-studio`` command."""

from valet_studio.cli import main

if __name__ == "__main__":
    main()
