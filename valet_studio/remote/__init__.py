"""The client of a push server, on the standard library alone. `server` is its other side."""
