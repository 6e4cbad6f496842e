"""Statements, one file each; read by ``budget.statements``."""
