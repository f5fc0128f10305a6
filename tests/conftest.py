"""For every test: Ctrl-C works in the programs they start, also where the tests themselves were started unheard."""

import signal

# A shell without job control starts what runs in the background with this signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
