"""Search: train many recipes, count every one as a trial, and choose among them without looking ahead."""
