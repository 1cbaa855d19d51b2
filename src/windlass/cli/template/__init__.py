"""`windlass template ...`, one module for each verb."""
