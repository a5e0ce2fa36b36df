"""How each curve will end."""
