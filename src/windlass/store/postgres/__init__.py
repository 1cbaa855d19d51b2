"""The store in a PostgreSQL database, which any number of servers and workers share."""
