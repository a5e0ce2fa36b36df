"""May this one ship: judged from measurements, with their uncertainty."""
