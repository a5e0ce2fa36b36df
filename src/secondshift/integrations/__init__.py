"""What libraries of the training process can tell beside the script: opt-in, on top of tracking."""
