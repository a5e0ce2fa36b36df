"""Reading foreign runs while they are written: tables, trackers' files, and what a command prints."""
