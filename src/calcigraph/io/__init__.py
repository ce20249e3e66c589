"""Reading mammograms and data sets."""
