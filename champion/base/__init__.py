"""General tools without any market logic: clock, atomic files, object stores, strict JSON, process identity."""
