"""The trace in plain words (PURE): a module per stage turns a fact into sentences, `tell` orders them."""
