"""Windlass: a self-hosted job orchestrator."""
