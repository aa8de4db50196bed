"""What findings mean by a domain's policy (PURE): a module per check whose rules are more than a key per result."""
