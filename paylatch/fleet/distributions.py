"""Times drawn at random: how long phones are away."""

import math
from random import Random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from paylatch.fleet.durations import Duration

_Z95 = 1.6448536269514722
"""The standard normal distribution's 95th percentile."""


class _Distribution(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Fixed(_Distribution):
    """Always the same."""

    distribution: Literal["fixed"]
    time: Duration

    def draw(self, dice: Random) -> float:  # noqa: ARG002 - as the others are drawn
        """Return a time in seconds."""
        return self.time


class Uniform(_Distribution):
    """Anything between two times, each as likely as the other."""

    distribution: Literal["uniform"]
    least: Duration
    most: Duration

    @model_validator(mode="after")
    def _in_order(self) -> "Uniform":
        if self.least > self.most:
            raise ValueError("least is more than most")
        return self

    def draw(self, dice: Random) -> float:
        """Return a time in seconds."""
        return dice.uniform(self.least, self.most)


class Exponential(_Distribution):
    """Mostly short, rarely long, as gaps between independent events are; cut off at `most`."""

    distribution: Literal["exponential"]
    mean: Annotated[Duration, Field(gt=0)]
    most: Duration

    def draw(self, dice: Random) -> float:
        """Return a time in seconds."""
        return min(dice.expovariate(1 / self.mean), self.most)


class LogNormal(_Distribution):
    """As outages of phones are: half are shorter than the median, a few very long; cut off at `most`."""

    distribution: Literal["lognormal"]
    median: Annotated[Duration, Field(gt=0)]
    p95: Annotated[Duration, Field(gt=0)]
    most: Duration

    @model_validator(mode="after")
    def _in_order(self) -> "LogNormal":
        if self.p95 < self.median:
            raise ValueError("p95 is less than the median")
        return self

    def draw(self, dice: Random) -> float:
        """Return a time in seconds."""
        sigma = math.log(self.p95 / self.median) / _Z95
        return min(dice.lognormvariate(math.log(self.median), sigma), self.most)


Times = Annotated[Fixed | Uniform | Exponential | LogNormal, Field(discriminator="distribution")]
