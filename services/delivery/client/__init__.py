"""Our SMTP and LMTP client: pipelined, kept connections, one deadline per wait, the hop's own words kept."""
