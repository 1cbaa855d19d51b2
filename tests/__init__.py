"""All tests; a package so that `tests` is never somebody else's."""
