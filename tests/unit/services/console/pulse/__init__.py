"""Units of what the overview is made of."""
