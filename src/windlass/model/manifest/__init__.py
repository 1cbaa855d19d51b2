"""Manifests: from YAML or JSON text to checked, canonical documents and job values."""
