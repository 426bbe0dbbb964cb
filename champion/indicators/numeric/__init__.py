"""Numerical methods of the indicators: windows, recursions, quantiles and carried state."""
