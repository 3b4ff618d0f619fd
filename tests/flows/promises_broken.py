"""Every violation there is, by the promise that it breaks."""

from tests.flows import promise_plants, promise_plants_in_time
from tests.flows.promises_harness import PLANTS

THEIRS = (promise_plants, promise_plants_in_time)
"""Where they are: to be there is to be in the table."""
BREAKS = PLANTS
