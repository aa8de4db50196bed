"""`gatepost`: the administrator's command."""

import typer

from services.console.cli import (
    account,
    audit,
    ban,
    dkim,
    doctor,
    domain,
    find,
    login,
    policy,
    quarantine,
    queue,
    simulate,
    status,
    tail,
    token,
    topology,
    trace,
    user,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Look into and run the Gatepost mail defence. After `gatepost login URL` it speaks to the console there; "
    "else, on the console's own host, by its settings: GATEPOST_SETTINGS_FILE, else var/settings/console.toml, else "
    "/etc/gatepost/console.toml. Exit codes: 0 done, 1 not found, not done, not allowed, or the answer is no; 2 "
    "wrongly called, or settings that cannot be used.",
)
app.command("status")(status.show)
app.command("find")(find.show)
app.command("trace")(trace.show)
app.command("tail")(tail.tail)
app.command("drain")(tail.show_drain)
app.command("simulate")(simulate.show)
app.command("doctor")(doctor.show)
app.command("audit")(audit.show)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("whoami")(login.whoami)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(queue.app, name="queue")
app.add_typer(policy.app, name="policy")
app.add_typer(topology.app, name="topology")
app.add_typer(domain.app, name="domain")
app.add_typer(dkim.app, name="dkim")
app.add_typer(account.app, name="account")
app.add_typer(ban.app, name="ban")
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
