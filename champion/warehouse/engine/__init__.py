"""ClickHouse, embedded or as a server: connections, parameters, types and results."""
