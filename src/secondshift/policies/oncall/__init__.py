"""Who is behind the captain, and whether to wake that person."""
