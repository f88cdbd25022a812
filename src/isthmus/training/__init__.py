"""Training: the loop, its plan, its state on disk, and the model directory."""
