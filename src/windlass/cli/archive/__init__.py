"""`windlass archive ...`, one module for each verb."""
