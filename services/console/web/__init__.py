"""The console's pages and the REST API."""
