/*
name:    shape
about:   A regular polygon, white on black; with no sides a disc.
inputs:
  sides:    {unit: count, default: 3, range: [0, 12], about: below 1 a disc}
  radius:   {unit: length, default: 0.35, about: from the centre to a corner}
  softness: {unit: length, default: 0.01, about: width of the border}
  angle:    {unit: cycles, default: 0, about: counter-clockwise}
  x:        {unit: length, default: 0, range: [-0.5, 0.5], about: from the middle to the right}
  y:        {unit: length, default: 0, range: [-0.5, 0.5], about: from the middle up}
source:  distance to a regular polygon, derived for this project
*/
#include "lib/turn.glsl"

float count, corner, steepness;

void once() {
    count     = max(sides, 3.0);
    corner    = 1.0 / sine(0.25 + 0.5 / count);                    // how much further a corner is than a side
    steepness = 1.0 / max(softness, 1.0e-5);
}

vec4 shape(vec2 uv) {
    vec2  p   = (uv - 0.5 - vec2(x, y)) * vec2(aspect, 1.0);
    float far = length(p);
    if (sides >= 1.0) {
        float around = cycles_of(vec2(-p.y, p.x)) - angle;         // from the middle of the lowest side
        far *= corner * sine(0.25 + around - floor(around * count + 0.5) / count);
    }
    float inside = clamp(0.5 + (radius - far) * steepness, 0.0, 1.0);
    return vec4(vec3(inside * inside * (3.0 - 2.0 * inside)), 1.0);
}
