"""Expressions: CEL between `${{` and `}}`, over the values of a run."""
