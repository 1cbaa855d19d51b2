"""The HTTP surface: translates requests to the engine and answers back."""
