"""`windlass queue ...`, one module for each verb."""
