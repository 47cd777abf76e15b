"""Figures as files: CSV, XLSX and a page for the board."""
