"""The parts of the soaks: a stage to play on, faults to play, and an audit by a witness that secondshift does not write."""
