"""Facts about what was expected."""

from dataclasses import dataclass

from secondshift.records.forecasts import Forecast


@dataclass(frozen=True, kw_only=True, slots=True)
class ForecastMade:
    """The end of a trial was forecast, or a forecaster said that it cannot."""

    forecast: Forecast
