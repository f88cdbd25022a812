"""What is compressed, and got back: images."""
