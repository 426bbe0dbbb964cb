"""How indicators are computed: windows, recursions, quantiles and their state."""
