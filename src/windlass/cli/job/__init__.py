"""`windlass job ...`, one module for each verb."""
