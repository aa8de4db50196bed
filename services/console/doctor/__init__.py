"""What `gatepost doctor` looks at; each module's functions return findings, each with how to mend it."""
