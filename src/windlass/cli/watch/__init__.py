"""Following runs: live on a terminal, line by line elsewhere."""
