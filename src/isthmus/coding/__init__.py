"""Integer networks, probability tables, and the order in which pixels are coded."""
