"""Which ideas hold up: pairs on fresh seeds, always-valid verdicts, one error budget over all nights, the next seed."""
