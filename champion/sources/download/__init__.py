"""Download the exchange's files from its archive to the staging folder: requests, retries, records."""
