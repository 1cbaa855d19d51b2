"""`windlass audit ...`, one module for each verb."""
