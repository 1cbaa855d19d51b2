"""Loops that keep the store moving, one duty each."""
