"""The only SQL of the ROI API, one module for each kind of sums."""
