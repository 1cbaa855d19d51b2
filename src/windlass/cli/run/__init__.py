"""`windlass run ...`, one module for each verb."""
