"""Attempts at the exercises that are wrong, each with a part of the diagnosis that it must get."""

WRONG = []  # (exercise, attempt, part of the diagnosis)


def wrong(name, diagnosis):
    """Note a function as a wrong attempt at an exercise."""

    def note(attempt):
        WRONG.append((name, attempt, diagnosis))
        return attempt

    return note
