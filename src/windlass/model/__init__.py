"""Pure values and functions: no input or output, no clock, nothing random."""
