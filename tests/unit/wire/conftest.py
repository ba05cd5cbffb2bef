"""Hypothesis measures each example; on a machine that is busy with other things that proves nothing."""

from hypothesis import settings

settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")
