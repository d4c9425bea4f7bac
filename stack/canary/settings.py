"""What the canary reads from its environment beside what every process reads."""

from pydantic import Field, SecretStr

from chassis.settings import ProcessSettings


class CanarySettings(ProcessSettings):
    """Settings of the canary."""

    canary_edge: str = Field(description="Address of the edge that is asked: http://127.0.0.1:8080.")
    canary_keeper_password: SecretStr = Field(description="Password of the organisation whose records are asked for.")
    canary_prober_password: SecretStr = Field(description="Password of the organisation that asks for them.")
    canary_round_seconds: float = Field(300, gt=0, description="Seconds over which the probes of one round are spread.")
