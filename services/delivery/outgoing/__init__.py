"""What becomes of the mail of our own users on its way out: completed, cleaned, signed."""
