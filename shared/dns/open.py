"""Opening the resolver that the settings describe."""

from shared.dns.resolver import CachingResolver, system_nameservers
from shared.settings import DnsSettings


def open_resolver(settings: DnsSettings) -> CachingResolver:
    """Return the process's one caching resolver; "system" stands for the servers of /etc/resolv.conf."""
    servers: list[str] = []
    for entry in settings.nameservers:
        servers.extend(system_nameservers() if entry == "system" else [entry])
    return CachingResolver(servers, settings.zone_files, settings.timeout_s)
