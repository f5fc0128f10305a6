/*
name:    hue
about:   Turns the colours around the grey axis; brightness stays.
inputs:
  picture: {kind: image}
  amount:  {unit: cycles, default: 0.33}
source:  rotation of the colour plane of YIQ (NTSC), so signed pictures keep their meaning
*/
#include "lib/turn.glsl"

mat3 turned;

void once() {
    const mat3 TO_YIQ = mat3(0.299, 0.595716, 0.211456, 0.587, -0.274453, -0.522591, 0.114, -0.321263, 0.311135);
    vec2 to = direction(amount);
    mat3 turn = mat3(1.0, 0.0, 0.0, 0.0, to.x, to.y, 0.0, -to.y, to.x);
    turned = inverse(TO_YIQ) * turn * TO_YIQ;
}

vec4 hue(vec2 uv) {
    vec4 seen = picture(uv);
    return vec4(turned * seen.rgb, seen.a);
}
