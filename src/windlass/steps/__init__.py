"""Step types: the only place with effects on the world outside the store."""
