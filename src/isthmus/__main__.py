"""``python -m isthmus``."""

from isthmus.apps.cli.main import main

if __name__ == "__main__":
    main()
