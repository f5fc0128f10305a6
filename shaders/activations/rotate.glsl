/*
name:    rotate
about:   Turns a picture around its centre; beyond the border it is mirrored.
inputs:
  picture: {kind: image}
  angle:   {unit: cycles, default: 0.0625, about: counter-clockwise}
  speed:   {unit: cycles/s, default: 0, rate: true}
source:  derived for this project
*/
#include "lib/turn.glsl"

mat2 turned;                                                       // back by the angle, in uv

void once() {
    vec2 to = direction(angle + speed);
    turned = mat2(to.x, -to.y * aspect, to.y / aspect, to.x);
}

vec4 rotate(vec2 uv) {
    return picture(turned * (uv - 0.5) + 0.5);
}
