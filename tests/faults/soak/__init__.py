"""A server under mixed load for as long as one likes, and what of it grows."""
