"""Pure decisions: a frozen state goes in, a list of decisions comes out. No clock, no I/O, no unseeded chance."""
