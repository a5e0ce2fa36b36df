"""The exceptions of secondshift. A class's docstring is its default message: what was found, expected, and what to do."""


class SecondshiftError(Exception):
    """Something in secondshift could not go on."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or ""))


class ConfigInvalid(SecondshiftError):
    """The study file has mistakes. Correct the lines named and run the command again; nothing was started."""


class StudyMissing(SecondshiftError):
    """No secondshift.toml was found here or above. Go to the study's folder, or name it with --study PATH."""


class LeaseLost(SecondshiftError):
    """Another engine holds the lease of this study. This one stops acting; what it had recorded stays."""


class LeaseHeld(SecondshiftError):
    """Another engine is working on this study. Watch it with `secondshift status`, or stop it with `secondshift stop`."""


class LedgerFull(SecondshiftError):
    """The disk is full: the ledger cannot grow. Free some space; what was recorded is safe and the shift goes on from there."""


class LedgerNewer(SecondshiftError):
    """The ledger was written by a newer secondshift. Upgrade secondshift, or use another study folder; nothing was changed."""


class LedgerDamaged(SecondshiftError):
    """The ledger file is damaged or not a ledger. Restore it from a copy, or move it away to begin anew; nothing was changed."""


class LedgerBusy(SecondshiftError):
    """The ledger stays locked by another program. Close what holds it (a database browser?) and run the command again."""


class FilesystemUnfit(SecondshiftError):
    """SQLite cannot lock or keep a write-ahead log on this filesystem. Put the study on a local disk, or name one with --ledger."""


class FolderReadOnly(SecondshiftError):
    """The study's folder cannot be written. Make it writable, or copy the study to a folder that is."""


class DeviceBusy(SecondshiftError):
    """Another trial on this host holds the device. It is tried again when the device is free."""


class ReplayDiffers(SecondshiftError):
    """The recorded facts do not lead to the recorded decisions: a fact was changed, or a policy or the environment differs."""
