"""What any program needs: clock, atomic files, object stores, strict JSON, process identity. No markets."""
