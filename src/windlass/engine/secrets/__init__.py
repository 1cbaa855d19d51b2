"""Sources of secret values, one module each."""
