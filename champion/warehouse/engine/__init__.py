"""How to talk to ClickHouse, embedded or as a server: connections, parameters, types, answers."""
