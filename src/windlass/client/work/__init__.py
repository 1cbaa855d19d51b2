"""The queue as a worker in another process reaches it: over HTTP."""
