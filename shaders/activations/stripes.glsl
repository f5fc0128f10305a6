/*
name:    stripes
also:    [osc]
about:   Soft stripes that wander; with an offset, every colour has its own.
inputs:
  frequency: {default: 8, range: [0, 60], about: stripes across the width of the picture}
  speed:     {unit: cycles/s, default: 0.1, rate: true, about: stripes a second}
  offset:    {unit: cycles, default: 0.1, about: red lags and blue leads by this part of a stripe}
  angle:     {unit: cycles, default: 0, about: "the way they wander; 0 is to the right, 0.25 up"}
source:  hydra's osc, derived for this project
*/
#include "lib/turn.glsl"

vec2 across;                                                       // stripes over the width and over the height

void once() {
    across = frequency * direction(angle) * vec2(1.0, 1.0 / aspect);
}

vec4 stripes(vec2 uv) {
    float stripe = dot(uv - 0.5, across) - speed;                  // cycles
    return vec4(0.5 + 0.5 * sine(stripe + vec3(-offset, 0.0, offset)), 1.0);
}
