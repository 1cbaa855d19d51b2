"""Lint rules: each a small function from a job's draft to what is wrong with it."""
