"""What can be seen going wrong in a run's streams: one family of signs per file, each causal and of constant size."""
