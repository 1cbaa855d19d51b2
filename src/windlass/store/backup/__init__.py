"""Copies of a whole store: made while it works, checked, and brought back."""
