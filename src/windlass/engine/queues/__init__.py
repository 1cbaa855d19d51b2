"""Ways in which a worker reaches the queue, one in each module."""
