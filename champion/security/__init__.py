"""What must not leak: redaction of secrets, the login of local servers, and where credentials may come from."""
