"""Keep secrets from leaking: redaction of texts, and the logins of local servers."""
