"""The attempt's folder of the tracking tests serves here, too."""

from tests.tracking.conftest import attempt

__all__ = ["attempt"]
