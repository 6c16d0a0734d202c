"""Which method suits a bank: a system's bank is scored by the method of the system, which is configured for others."""

from __future__ import annotations

from collections.abc import Mapping

from curator.config import Config
from curator.encoders import suited_score
from curator.methods import MethodSpec
from curator.systems.registry import SYSTEMS, System, find_system


def method_of_system(system: System, configured: str) -> str:
    """Its own method, at the temperature that NegLabel is configured with where the method is NegLabel's after the
    learning."""
    asked = MethodSpec.parse(configured)
    temperature = asked.parameters.get("temperature") if asked.name == "neglabel" else None
    return f"{system.name}:temperature={temperature}" if system.like_neglabel and temperature else system.name


def suited_method(spec: Mapping[str, object], id_labels: int, config: Config) -> str:
    """The method for a bank of this spec and so many ID labels: as it is configured where that suits, that of the
    system that made it; the one that suits the encoder for a bank of no system where the method of one is configured.
    """
    made_by, configured = system_of(spec), config.scan.method
    asked = MethodSpec.parse(configured).name
    if made_by is None:
        return suited_score(config.encoder.address, id_labels).method if asked in SYSTEMS.names() else configured
    return configured if asked == made_by else method_of_system(find_system(made_by), configured)


def system_of(spec: Mapping[str, object]) -> str | None:
    """The system that made a bank of this spec, or the one whose labels it took over with what was learnt."""
    named = {*spec} | {spec.get("system")}
    return next((name for name in SYSTEMS.names() if name in named), None)
