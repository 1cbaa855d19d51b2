"""Tables, transactions and queries: the only code that speaks to a database."""
