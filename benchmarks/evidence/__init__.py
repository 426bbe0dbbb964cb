"""How true the results are: against the files of the exchange, exact arithmetic, other libraries and chance."""
