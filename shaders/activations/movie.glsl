/*
name:    movie
about:   Moving pictures from a file, by the clock of the patch.
inputs:
  rate:     {default: 1, range: [-4, 4], rate: true, wrap: 86400, about: "how fast; 0 stands still, below 0 backwards"}
  position: {unit: s, default: 0, about: seconds into the movie where it begins; turning it scrubs}
  loop:     {unit: unipolar, default: 1, about: "above 0 it goes round, else it stands at its ends"}
settings:
  file: {kind: file, about: "MP4, MOV, MKV, WebM, GIF …"}
  fit:  {kind: choice, choices: [cover, contain, stretch], default: cover, about: how it meets the shape of the stage}
moving:  movie
*/
#include "lib/fit.glsl"

vec2 part;                                                         // of the movie that the stage shows

void once() {
    part = fitting(file_size, fit == fit_cover, fit == fit_contain);
}

vec4 movie(vec2 uv) {
    vec2 p      = 0.5 + (uv - 0.5) * part;
    vec4 colour = file(p);
    return p == clamp(p, 0.0, 1.0) ? colour : vec4(0.0);
}
