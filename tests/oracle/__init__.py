"""What must hold for every history of a store, whatever happened to the processes that wrote it."""
