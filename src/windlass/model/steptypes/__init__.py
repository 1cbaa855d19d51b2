"""The known step types as data, one module a family; what runs them lives in `windlass.steps`."""
