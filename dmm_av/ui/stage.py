"""The program of the stage process: its loop with text over the picture. `python -m dmm_av.ui.stage`."""

from dmm_av.io.stage_process import run_stage
from dmm_av.ui.overlay import Overlay

if __name__ == "__main__":
    run_stage(Overlay)
