"""What a user can mend: one exception, whose message is one clear line."""


class InputError(ValueError):
    """Bad input: the message names the thing, the value found and the mend.

    The `ganbook` command prints it and exits with 2.
    """
