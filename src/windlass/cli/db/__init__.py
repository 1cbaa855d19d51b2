"""`windlass db ...`, one module for each verb."""
