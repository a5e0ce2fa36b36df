"""What the benchmark of the brief needs: a simulated night of many trials, and a browser to look at its page."""
