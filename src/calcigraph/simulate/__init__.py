"""Simulated mammograms with known calcifications."""
