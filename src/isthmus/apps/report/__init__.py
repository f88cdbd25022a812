"""The report: one self-contained page on one or more models or detectors."""
