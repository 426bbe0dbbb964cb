"""Whether a workspace is healthy: doctor, status, reports and activity."""
