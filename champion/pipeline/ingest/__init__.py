"""Published files to bars in the lake."""
