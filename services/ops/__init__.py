"""The API for people who run the line: reviews, inspection, replay, configuration."""
