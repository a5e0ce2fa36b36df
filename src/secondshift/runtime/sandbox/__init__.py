"""A place of its own for code that nobody read: what it may see, write and reach, and how much of the machine it may take."""
