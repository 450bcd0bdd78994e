"""``python -m zuluko`` is the command ``zuluko``."""

from zuluko.cli import main

if __name__ == "__main__":
    main()
