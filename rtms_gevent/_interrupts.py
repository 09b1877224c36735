"""Recognises Ctrl-C, the one exception of a user's function that may end more than the function."""

from __future__ import annotations

import threading

__all__ = ["is_ctrl_c"]


def is_ctrl_c(problem: BaseException) -> bool:
    """Return whether ``problem``, just caught, is a Ctrl-C: Python raises that in the main thread.

    Everything else that a function of the user raises is an error of that function alone, be it
    ``SystemExit``, which argparse raises for a word that it does not know.
    """
    if not isinstance(problem, KeyboardInterrupt):
        return False
    # Of these the first is true where threading is patched, the second also in a forked child.
    main = threading.main_thread()
    return main.native_id == threading.get_native_id() or main.ident == threading.get_ident()
