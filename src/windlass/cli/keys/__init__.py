"""`windlass keys ...`, one module for each verb."""
