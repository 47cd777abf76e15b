"""The ROI API over HTTP, one module for each kind of question."""
