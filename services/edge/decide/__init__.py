"""The rules of edge (PURE): each takes values and returns None, or the `Refusal` with its reason."""
