"""A model of the store in plain Python, and what it takes to hold the two side by side."""
