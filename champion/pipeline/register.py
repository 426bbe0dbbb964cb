"""A trained model to the registry, as challenger, with what scoring will need to know of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import polars as pl

from champion.errors import ModelError
from champion.pipeline.promote import CANARY
from champion.settings import Settings
from champion.tracking import registry
