"""What scores would have earned: charges, settlement, fills and an account under the exchange's rules. Pure."""
