"""What `doctor` looks at in a PostgreSQL server: a module for each part of it, a sentence for each finding."""
