"""How the gateway is now: what the overview, the alerts and `gatepost status` are made of."""
