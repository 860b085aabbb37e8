"""A client's copy of the database: migrated by the same plan and apply as its server."""
