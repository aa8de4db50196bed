"""All DNS of Gatepost: a caching resolver, its values (answer), zone files, and replay for synchronous code.

dnspython does the wire and zone file formats; what is decided here is what an answer means to mail.
"""
