"""SASL mechanisms, the client's side; each is a `Login` that `client.auth` carries out."""
