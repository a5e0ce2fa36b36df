"""Search measured on recorded curves: our policies, the real engine, a simulated clock, and points that are bought."""
