/*
name:    kaleidoscope
also:    [kaleid]
about:   Folds a picture into equal wedges around its centre.
inputs:
  picture: {kind: image}
  wedges:  {unit: count, default: 6, range: [1, 24]}
  angle:   {unit: cycles, default: 0, about: "of the whole, counter-clockwise"}
source:  polar folding, derived for this project
*/
#include "lib/turn.glsl"

float count, wedge;

void once() {
    count = max(wedges, 1.0);
    wedge = 1.0 / count;                                           // width of one, cycles
}

vec4 kaleidoscope(vec2 uv) {
    vec2  p    = (uv - 0.5) * vec2(aspect, 1.0);
    float turn = fract((cycles_of(p) - angle) * count);            // within its wedge
    float fold = abs(turn - 0.5) * wedge;                          // mirrored around the middle of the wedge
    return picture(0.5 + length(p) * direction(fold) / vec2(aspect, 1.0));
}
