"""Where things stand in the pictures of the pages (PURE): templates draw what is laid out here."""
