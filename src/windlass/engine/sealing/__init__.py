"""What is kept so that nobody reads it who has the database alone: master keys, data keys, sealed values."""
