"""For whoever extends secondshift: conformance suites, in-memory twins, and nights that play in milliseconds."""
