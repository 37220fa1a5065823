"""The one Step that all modules of step 0 fill."""

from refmodels.delta import Step

STEP = Step(0)
