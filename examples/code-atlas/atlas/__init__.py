"""The steps of the code atlas: each module is one of them, or a part of one. Needs nothing but Python itself."""
