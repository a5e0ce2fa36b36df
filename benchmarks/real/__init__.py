"""A search on real processes, counted by what the training script itself writes down."""
