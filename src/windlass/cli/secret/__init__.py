"""`windlass secret ...`, one module for each verb."""
