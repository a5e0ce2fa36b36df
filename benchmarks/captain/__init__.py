"""Live trainings with faults, peers and scores for the captain's benchmark."""
