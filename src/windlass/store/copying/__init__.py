"""Moving a store from SQLite to PostgreSQL: `windlass db copy`."""
