"""What the canary reads from its environment beside what every process reads."""

from dataclasses import dataclass

from chassis.environment import Secret, setting
from chassis.settings import ProcessSettings


@dataclass(frozen=True, kw_only=True)
class CanarySettings(ProcessSettings):
    """Settings of the canary."""

    canary_edge: str = setting(says="Address of the edge that is asked: http://127.0.0.1:8080.")
    canary_keeper_password: Secret = setting(says="Password of the organisation whose records are asked for.")
    canary_prober_password: Secret = setting(says="Password of the organisation that asks for them.")
    canary_round_seconds: float = setting(300, above=0, says="Seconds over which the probes of one round are spread.")
