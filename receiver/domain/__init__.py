"""Values, states and pure decisions. No I/O; the ports say what the tools must do."""
