"""DMM-AV: a live-coding audiovisual synthesizer whose program is a dataflow matrix machine."""

import sys

from dmm_av.commands.command_line import main

if __name__ == "__main__":
    sys.exit(main())
