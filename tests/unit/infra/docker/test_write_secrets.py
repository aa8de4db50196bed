"""Who gets which secret."""

from infra.docker.write_secrets import HOLDERS, STAGES


def test_a_stage_gets_the_password_of_its_own_broker_user_alone() -> None:
    for holder in HOLDERS:
        if holder.name in STAGES:
            broker = {secret for _, secret in holder.passwords if secret.startswith("broker-")}
            assert broker - {"broker-monitor"} == {f"broker-{holder.name}"}


def test_the_administrator_of_the_broker_is_known_to_broker_and_installer_alone() -> None:
    assert {holder.name for holder in HOLDERS for _, secret in holder.passwords if secret == "broker-admin"} == {
        "rabbitmq",
        "installer",
    }


def test_services_and_engines_run_as_different_users() -> None:
    services = {holder.uid for holder in HOLDERS if holder.name in (*STAGES, "installer")}
    engines = {holder.uid for holder in HOLDERS if holder.name not in (*STAGES, "installer")}
    assert services.isdisjoint(engines | {0})
