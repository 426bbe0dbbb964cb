"""A factor risk model: how much the return of a portfolio varies, and with which styles and sectors.

The structure is that of Menchero, Orr and Wang, The Barra US Equity Model (USE4), Methodology Notes (MSCI, 2011):

1. `exposures` gives each instrument a market exposure of 1, a sector, and styles, as known at the close of a session.
2. `fit` regresses the returns of the next session on them, weighted by the square root of the traded value. The result
   is a return of each factor, and a specific return of each instrument.
3. `RiskModel.at` forecasts from the returns up to a session: the covariance of factors, exponentially weighted with the
   correction of Newey and West (Econometrica 55, 1987), and specific variances, shrunk to the mean of their group.
4. `standardised` and `bias_by_year` compare forecasts with what happened afterwards.

A notebook uses it as `ch.risk`. All functions are pure. Unlike USE4 the model has no volatility regime adjustment and
no eigenfactor adjustment, and its styles are ranks.
"""

from champion.modeling.risk.bias import bias_by_year, equal_weighted, portfolios_of, standardised
from champion.modeling.risk.exposures import FACTORS, MARKET, exposures
from champion.modeling.risk.model import Estimation, Forecast, RiskModel, fit

__all__ = [
    "FACTORS", "MARKET", "Estimation", "Forecast", "RiskModel", "bias_by_year", "equal_weighted", "exposures", "fit",
    "portfolios_of", "standardised",
]  # fmt: skip
__dir__ = __all__.copy
