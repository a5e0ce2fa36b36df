"""What windows show: pure views of the state and of recorded facts, the same for every window."""
