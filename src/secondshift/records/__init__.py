"""The words of secondshift: frozen records that every room shares. Standard library only, no I/O."""
