"""Settings of the edge: where its listeners stand, and with which certificates; their rules are policy."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from shared.address import parse_domain
from shared.settings import COMMA_SEPARATED, Section, ServiceSettings, TracingSettings


class CertificateSettings(Section):
    """One more certificate of a listener, with its chain, and its key: PEM files."""

    certificate_file: Path
    key_file: Path


class ListenerSettings(Section):
    """A socket. port 0 takes a free one. certificate_file, key_file: PEM; without them the listener has no TLS.

    certificates: more of them; a client that asks for a name in one of them gets it, all others get the first.
    client_ca_file: what clients' certificates are verified against, where the policy asks for them: authorities, or
    clients' own certificates that nobody else has signed. All these files may be replaced at any time: the edge reads
    them again when they change, and on SIGHUP, so its user must be able to.
    """

    address: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    certificate_file: Path | None = None
    key_file: Path | None = None
    certificates: tuple[CertificateSettings, ...] = ()
    client_ca_file: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> "ListenerSettings":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both or none")
        if self.certificate_file is None and (self.certificates or self.client_ca_file):
            raise ValueError("certificates and client_ca_file need certificate_file and key_file")
        return self


class LdapSettings(Section):
    """The organisation's directory, for logins and recipients.

    uri: `ldap://host[:port]`, which is secured with STARTTLS unless the host is this one and starttls is false, or
    `ldaps://host[:port]`. ca_file: what its certificate is verified against, else the system's authorities.
    search_base, recipient_filter: under which name recipients are looked for, and how. login_dn: the name that a login
    binds as, with `{login}`, `{local}` and `{domain}`; without it, login_filter finds the one entry that it is.
    bind_dn, bind_password: the service account that searches, else it is nobody. mail_attribute: the addresses that a
    login may send as, which users must not be able to change; without any, it sends as itself. Passwords of the
    directory can be checked with PLAIN and LOGIN only: offer its users no other `mechanisms` but GSSAPI. timeout_s: for
    each step. connections: how many at once, and as many threads.
    """

    uri: str
    starttls: bool = True
    ca_file: Path | None = None
    search_base: str
    login_dn: str | None = None
    login_filter: str = "(|(uid={login})(mail={login}))"
    recipient_filter: str = "(|(mail={address})(mailAlternateAddress={address}))"
    bind_dn: str | None = None
    bind_password: SecretStr | None = None
    mail_attribute: str = "mail"
    timeout_s: float = Field(5.0, gt=0, le=30)
    connections: int = Field(4, ge=1, le=64)

    @model_validator(mode="after")
    def _passwords_travel_in_tls(self) -> "LdapSettings":
        uri = urlsplit(self.uri)
        if uri.scheme not in ("ldap", "ldaps") or not uri.hostname or uri.path.strip("/"):
            raise ValueError("uri is ldap://host, ldap://host:port, ldaps://host or ldaps://host:port")
        if uri.scheme == "ldap" and not self.starttls and uri.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("starttls = false would send passwords in the clear to another host")
        return self

    @model_validator(mode="after")
    def _complete(self) -> "LdapSettings":
        if (self.bind_dn is None) != (self.bind_password is None):
            raise ValueError("bind_dn and bind_password belong together: set both or none")
        if self.login_dn is not None and not re.search(r"\{(login|local)\}", self.login_dn):
            raise ValueError("login_dn needs {login} or {local}: else every login would be the same")
        for key, text in (("login_filter", self.login_filter), ("recipient_filter", self.recipient_filter)):
            if not text.startswith("(") or not re.search(r"\{(login|address|local)\}", text):
                raise ValueError(f"{key} is a filter in parentheses with {{login}}, {{address}} or {{local}} in it")
        return self


class KerberosSettings(Section):
    """Logins by Kerberos (GSSAPI); needs the Python package `gssapi`, which is Gatepost's extra `kerberos`.

    keytab_file: keys of `smtp/<service_host>@<realm>`. service_host: the name that clients connect to, else hostname.
    realm: whose principals may log in. domain: `user@REALM` is the login `user@domain`, and sends as that where there
    is no such account; without it, only principals that have an account `user@realm` may log in.
    """

    keytab_file: Path
    service_host: Annotated[str, AfterValidator(parse_domain)] | None = None
    realm: str = Field(pattern=r"^[A-Za-z0-9.-]{1,255}$")
    domain: Annotated[str, AfterValidator(parse_domain)] | None = None


class EdgeSettings(ServiceSettings):
    """The edge's settings. listeners: by the names that the policy gives rules to.

    loop_key: a secret that all edges of one gateway share, with which recipients are marked in our trace field; without
    one each process draws its own, and a loop through another process is only found by its count of Received fields.
    The salts that SCRAM shows for unknown logins come from it, too. rewriting_secrets: as in delivery's settings.
    ldap, kerberos: where else logins are known.
    workers: processes on this host that share the listeners; more than one count together in Redis.
    run_as: `user` or `user:group`, whom the edge becomes once its listeners are bound, so that it can be started as
    root for ports below 1024. This user must be able to read every file but the settings themselves, certificates and
    keys included. allow_root_on_loopback: serve as root all the same, where nobody outside this machine is served.
    """

    listeners: dict[str, ListenerSettings] = Field(min_length=1)
    loop_key: SecretStr | None = None
    rewriting_secrets: Annotated[tuple[SecretStr, ...], COMMA_SEPARATED] = ()
    drain_timeout_s: float = Field(25.0, ge=0, le=600)
    workers: int = Field(1, ge=1, le=64)
    run_as: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.-]*)?$")
    allow_root_on_loopback: bool = False
    country_database: Path | None = None
    ldap: LdapSettings | None = None
    kerberos: KerberosSettings | None = None
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _workers_count_together(self) -> "EdgeSettings":
        if self.workers > 1 and self.redis is None:
            raise ValueError(
                "workers > 1 needs [redis]: each worker would count by itself, and every limit be as many times higher"
            )
        return self
