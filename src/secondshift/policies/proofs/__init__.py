"""What a script was proved to do, judged from runs that were tried."""
