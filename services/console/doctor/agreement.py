"""Whether all services are of one version and run the policy in force (I/O: HTTP).

Owns: comparing what `/metrics` and `/readyz` of the services tell; who does not answer has a finding of its own.
"""

from collections.abc import Mapping

from services.console.doctor.finding import Finding, aside, good, warning, wrong
from services.console.pulse.asking import ask_services
from services.console.pulse.facts import Readiness
from services.console.pulse.measures import Measures
from services.console.settings import ConsoleSettings
from shared.build import BUILD_METRIC, VERSION


async def services(settings: ConsoleSettings) -> list[Finding]:
    """Ask each service whether it is ready, and which version it is."""
    readiness, measures = await ask_services(settings)
    return [*(_ready(one) for one in readiness), judge_builds(builds(measures)), *judge_policies(readiness)]


def builds(measures: Mapping[str, Measures]) -> dict[str, frozenset[str]]:
    """Return the versions that each service tells (PURE); one that is being upgraded has two."""
    found = {
        service: frozenset(one.labels.get("version", "") for one in told.named(BUILD_METRIC) if one.value)
        for service, told in measures.items()
    }
    return {service: versions for service, versions in found.items() if versions}


def judge_builds(told: Mapping[str, frozenset[str]]) -> Finding:
    """Return whether all are of our version (PURE)."""
    if not told:
        return aside("versions", "no service tells its own")
    others = {service: versions for service, versions in told.items() if versions != {VERSION}}
    if not others:
        return good("versions", f"{', '.join(told)} and this command are {VERSION}")
    said = "; ".join(f"{service} is {' and '.join(sorted(versions))}" for service, versions in others.items())
    mend = "install the same version everywhere, and start what is older again"
    return warning("versions", f"this is {VERSION}, and {said}", mend)


def judge_policies(readiness: tuple[Readiness, ...]) -> list[Finding]:
    """Return whether all stages run the same version of the policy, and which of them refused one (PURE)."""
    if refusing := [one for one in readiness if one.policy_refused]:
        mend = (
            "its log names the key (policy-refused): install the same version everywhere, then apply the policy again"
        )
        said = "{} could not use version {}, and goes on with {}"
        told = [said.format(one.service, one.policy_refused, one.policy_version or "none") for one in refusing]
        return [wrong("policy", one, mend) for one in told]
    versions = {one.service: one.policy_version for one in readiness if one.policy_version}
    if len(set(versions.values())) < 2:
        return []
    said = ", ".join(f"{service} {version}" for service, version in versions.items())
    mend = "wait a second; else look for policy-refused in the log of what is behind"
    return [wrong("policy", f"the services run different versions: {said}", mend)]


def _ready(one: Readiness) -> Finding:
    if one.ready:
        return good(one.service, one.said)
    mend = f"look at the log of {one.service}, start it if it is not running"
    return wrong(one.service, f"{one.url}: {one.said}", mend)
