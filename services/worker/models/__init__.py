"""Model files and their manifest; written by `recoup lab train`."""
