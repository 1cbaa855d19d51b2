"""Who did what: noted with each change, chained, shown, verified."""
