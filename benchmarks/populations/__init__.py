"""A training for which the course of the learning rate matters."""
