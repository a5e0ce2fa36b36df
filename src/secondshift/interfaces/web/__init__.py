"""The window for a browser: a small server on this machine's own address, for the extension in `extension/`."""
