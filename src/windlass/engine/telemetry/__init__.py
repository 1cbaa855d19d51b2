"""OpenTelemetry: spans of runs and the metrics, sent where OTEL_* says, and not even imported where it says nothing."""
