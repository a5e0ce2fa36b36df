"""The brief: what happened in a shift, composed from facts alone and rendered for a terminal, a file or a program."""
