"""Where runs are kept once they have left the hot tables."""
