"""Questions put to Isthmus and its peers, one module each; see README.md beside this file."""
