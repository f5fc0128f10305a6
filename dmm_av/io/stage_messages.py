"""What the machine and the stage say to each other, and how it goes through a pipe.

Every message is a tuple that begins with its name, pickled behind its length. Host times are seconds of
`time.perf_counter()`, which both processes share.

The machine says

    ("drawing", Drawing)              prepare this; goes on drawing the former one until it is ready
    ("frame", version, FrameValues)   the numbers of one frame, laid out by the drawing of that version
    ("clock", host_s, sample, samples_per_s, rate)   sample `sample` is heard at `host_s`; from there on
                                      `samples_per_s` go by in a second; the patch counts `rate` in one
    ("reload", path)                  a shader file was saved
    ("panic", bool)                   black and without memory while it is true
    ("fullscreen", bool)  ("resize", size)  ("title", text)  ("notice", text)   of the window
    ("screenshot", path)              writes the newest picture as PNG
    ("stop",)

The stage answers

    ("hello", renderer, max_size, has_window)   a stage stands
    ("ready", version)                the drawing of that version is drawn from now on
    ("first", frame)                  this stage has drawn its first picture
    ("readback", frame, {name: numbers})
    ("shown", frame, host_s, due_s)   on the screen since; meant for
    ("skipped", (frame, …))           never drawn, because newer states existed
    ("error", name, sentence)         of the neuron `name`, or of the `stage`
    ("action", name)  ("key", name, 1|0)  ("mouse", x, y)  ("button", name, 1|0)  ("scroll", x, y)
                                      of the player; `help` is answered by the stage itself
    ("fullscreen", bool)              the window does so now
    ("stats", {fps, drawn, skipped, draw_ms, late_ms, queue})   once a second
    ("screenshot", path)              it is written
    ("busy", what)                    a long piece of work begins: no sign of life until it is done
    ("alive",)                        sign of life
    ("closed",)                       the player closed the window; the stage ends
    ("unusable", sentence)            this computer cannot draw; the stage ends
"""

import pickle
import struct

_LENGTH = struct.Struct("<Q")


def packed(message):
    """The bytes of one message."""
    body = pickle.dumps(message, protocol=5)
    return _LENGTH.pack(len(body)) + body


def received(stream):
    """The next message of a binary stream, None at its end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return pickle.loads(body) if len(body) == length else None
