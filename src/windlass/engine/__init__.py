"""Use cases and loops: the only place where model, store and steps meet."""
