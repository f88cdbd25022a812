"""The command line: a verb for each job."""
