"""Members of indices and sectors of companies as of a date, from dated lists, the register and press releases."""
