"""Target weights of the champion for the next session: what to buy, hold and sell, and why not.

- `publish`: write the targets of a scored session
- `orders`: what can stop an order, as known at the close
- `published`: read them
"""
