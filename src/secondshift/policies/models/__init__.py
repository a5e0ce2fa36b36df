"""Pure mathematics that several rooms of deciders share."""
