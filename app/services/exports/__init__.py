"""Copies of all that is stored of a person or a label, handed to who may have them. docs/export.md."""
