"""`%%sql` in a notebook: a real kernel beside a real loading flow."""

from __future__ import annotations
