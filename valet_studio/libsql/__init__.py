"""A database on a libSQL server, over its Hrana HTTP protocol."""
