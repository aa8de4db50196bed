"""`gatepost`: the administrator's command."""

import typer

from services.console.cli import account, ban, dkim, doctor, domain, policy, quarantine, queue, status, topology, trace

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look into and run the Gatepost mail defence. "
    "Settings: GATEPOST_SETTINGS_FILE, else var/settings/console.toml, else /etc/gatepost/console.toml.",
)
app.command("status")(status.show)
app.command("trace")(trace.show)
app.command("doctor")(doctor.show)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(queue.app, name="queue")
app.add_typer(policy.app, name="policy")
app.add_typer(topology.app, name="topology")
app.add_typer(domain.app, name="domain")
app.add_typer(dkim.app, name="dkim")
app.add_typer(account.app, name="account")
app.add_typer(ban.app, name="ban")


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
