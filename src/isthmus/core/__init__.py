"""What everything else is written in: errors, specs, recipes, and what parts hand over."""
