"""What the commands do, one module a family; `cli` parses and dispatches to them.

Each command's function takes resolved settings, prints, and returns an exit code. Where it cannot
do its work it raises a `StudioError`, which `group` tells.
"""
