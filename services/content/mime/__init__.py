"""What a message is made of: parts, names, types by content, archives and macros, read within bounds."""
