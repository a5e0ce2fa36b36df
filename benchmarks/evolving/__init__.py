"""Functions to search on, and the evolutionary steps that were tried beside the one that is used."""
