"""What workers in other processes and the server of their queue tell each other, as JSON."""
