"""Several servers and workers on one database, and what is done to the ways between them."""
