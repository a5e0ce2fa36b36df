"""Earlier studies that tell something of the present one, and such that mislead."""
