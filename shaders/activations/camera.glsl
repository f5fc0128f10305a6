/*
name:    camera
also:    [webcam]
about:   What a camera sees now; a movie file as its device stands in for one.
settings:
  device: {kind: file, about: "such as /dev/video0; nothing: the first one"}
  fit:    {kind: choice, choices: [cover, contain, stretch], default: cover, about: how it meets the shape of the stage}
moving:  camera
*/
#include "lib/fit.glsl"

vec2 part;                                                         // of its picture that the stage shows

void once() {
    part = fitting(device_size, fit == fit_cover, fit == fit_contain);
}

vec4 camera(vec2 uv) {
    vec2 p      = 0.5 + (uv - 0.5) * part;
    vec4 colour = device(p);
    return p == clamp(p, 0.0, 1.0) ? colour : vec4(0.0);
}
