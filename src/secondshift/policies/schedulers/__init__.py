"""What runs, pauses, resumes, stops, and when the shift is over."""
