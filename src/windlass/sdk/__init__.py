"""Jobs in Python."""
