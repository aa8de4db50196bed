"""TLS towards next hops: what is demanded of a host, and whether it meets that."""
