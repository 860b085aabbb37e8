"""A client's copy of the database: migrated by the same plan and apply as its server."""

from valet_studio.replica.engine import Connected, SyncEngine

__all__ = ["Connected", "SyncEngine"]
