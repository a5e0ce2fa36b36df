"""The captain beside foreign runs, read-only: reads what is new, judges it, tells it. Nothing is done to them."""
