"""What an attempt's id says: of which trial it is, and its number."""


def trial_of(attempt: str) -> str:
    """Name the trial of an attempt: "t7" for "t7.a2". What is no attempt's id comes back as it is."""
    trial, dot, number = attempt.rpartition(".a")
    return trial if dot and number.isdigit() else attempt


def number_of(attempt: str) -> int:
    """Tell which attempt of its trial this is, from 1; 0 if the id does not say."""
    number = attempt.rpartition(".a")[2]
    return int(number) if number.isdecimal() and number.isascii() else 0
