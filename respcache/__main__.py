"""`python -m respcache` is the same as `respcache`."""

from respcache.cli import main

if __name__ == "__main__":
    main()
