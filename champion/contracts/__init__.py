"""Contracts: one Avro record per dataset version, from which every schema of Champion is derived."""

from champion.contracts.catalog import add_search_path, load, names, versions
from champion.contracts.contract import Contract, Field
from champion.contracts.rules import rule_columns, rule_expression

__all__ = ["Contract", "Field", "add_search_path", "load", "names", "rule_columns", "rule_expression", "versions"]
__dir__ = __all__.copy
