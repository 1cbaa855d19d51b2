"""A worker in a process of its own, built: on a server that it reaches, or on a database that it shares."""
