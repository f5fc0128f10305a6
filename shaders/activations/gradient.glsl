/*
name:    gradient
about:   Red grows to the right, green grows upwards, blue comes and goes.
inputs:
  angle: {unit: cycles, default: 0, about: turns the directions counter-clockwise}
  speed: {unit: cycles/s, default: 0.05, rate: true, about: of the blue}
source:  hydra's gradient, derived for this project
*/
#include "lib/turn.glsl"

vec2  to;
float blue;

void once() {
    to   = direction(angle);
    blue = 0.5 + 0.5 * sine(speed);
}

vec4 gradient(vec2 uv) {
    vec2 p = uv - 0.5;
    p = vec2(to.x * p.x + to.y * p.y, to.x * p.y - to.y * p.x) + 0.5;
    return vec4(clamp(p, 0.0, 1.0), blue, 1.0);
}
