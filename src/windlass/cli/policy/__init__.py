"""`windlass policy ...`, one module for each verb."""
