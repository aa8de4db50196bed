"""Which version of Gatepost this process is."""

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Gauge


def _version() -> str:
    try:
        return version("gatepost")
    except PackageNotFoundError:  # a checkout that was never installed
        return "unknown"


VERSION = _version()
BUILD_METRIC = "gatepost_build_info"
_BUILD = Gauge(BUILD_METRIC, "Always 1; the version is the label", ["version"], multiprocess_mode="livemax")
_BUILD.labels(VERSION).set(1)
