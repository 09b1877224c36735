"""Coverage-guided fuzzing of all that reads what strangers send.

From the checkout, with ``pip install atheris``::

    python -m tests.fuzz frames --seconds 600
    python -m tests.fuzz decoder --seconds 600
    python -m tests.fuzz webhook --seconds 600

``--corpus FOLDER`` keeps what was learnt for the next time. Input that breaks a promise is written
to a file; ``--replay FILE`` gives it to the target once more, without atheris. What is found
becomes a row of a table in tests/protocol or tests/webhook.
"""
