"""Files of the exchange from its archive to the staging folder: requests, retries, records."""
