"""Speaks to a running Windlass over HTTP with little more than the standard library."""
