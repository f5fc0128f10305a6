"""The neuron that is heard. What happens to its sound on the way out is the engine's business."""

from dmm_av.network.activation import LIBRARY, Activation, Input
from dmm_av.streams.kinds import Kind

SPEAKERS = Activation(
    name="speakers",
    side="engine",
    about="What is heard: everything that reaches it is limited to -1 dBFS and played.",
    inputs={
        "left": Input("left", Kind.AUDIO, about="left channel"),
        "right": Input("right", Kind.AUDIO, about="right channel"),
        "both": Input("both", Kind.AUDIO, about="added to both channels"),
    },
    outputs={},
    family="speakers",
)
LIBRARY.add(SPEAKERS)
