"""What secondshift costs: the rows of DESIGN §7, each beside the peers that it names."""
