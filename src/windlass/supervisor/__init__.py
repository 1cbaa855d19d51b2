"""The small process that starts, watches and ends every local child process of a worker."""
