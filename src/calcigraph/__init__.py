"""Mammograms in, calcification graphs and BI-RADS distributions out."""
