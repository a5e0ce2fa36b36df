"""Inside the training process: init, params, log, checkpoint, restore. Standard library only."""
