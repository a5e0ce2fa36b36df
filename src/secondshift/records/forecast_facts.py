"""Facts about what was expected."""

from dataclasses import dataclass

from secondshift.records.forecasts import Audit, Forecast


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastMade:
    """The end of a trial was forecast, or a forecaster said that it cannot."""

    forecast: Forecast


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditDrawn:
    """A trial that was given up was drawn by chance, to be trained to its end; one that was stopped may run again."""

    audit: Audit


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEnded:
    """A trial that was audited came to its end, or will not."""

    audit: Audit
