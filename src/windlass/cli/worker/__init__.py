"""`windlass worker ...`, one module for each verb."""
