"""The work of workers in other processes, as the process that owns the store does its part of it."""
