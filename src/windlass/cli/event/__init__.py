"""`windlass event ...`, one module for each verb."""
