"""Make the pictures in screenshots/ anew, which the snapshot tests compare with.

    python tests/screenshots.py [NAME ...]

Needs the extra `screenshots` (resvg, which draws the PNG files).
"""

from __future__ import annotations

import asyncio
import sys

import resvg_py
from pictures import FOLDER, NAMES, picture

PNG = ("rehearsed", "rehearsed-80", "rejected", "failed")
"""The pictures that the README shows where SVG is not drawn."""


async def main(names: list[str]) -> None:
    """All of them, or the named ones."""
    FOLDER.mkdir(exist_ok=True)
    for name in names or NAMES:
        svg = await picture(name)
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
        if name in PNG:
            png = resvg_py.svg_to_bytes(
                svg_string=svg, zoom=1.5, monospace_family="DejaVu Sans Mono"
            )
            (FOLDER / f"{name}.png").write_bytes(bytes(png))
        print(f"screenshots/{name}.svg", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
