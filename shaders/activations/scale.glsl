/*
name:    scale
about:   Enlarges a picture around its centre; beyond the border it is mirrored.
inputs:
  picture: {kind: image}
  amount:  {default: 1.5, range: [0.1, 10], curve: exponential, about: 2 is twice as large}
  x:       {default: 1, range: [0.1, 10], curve: exponential, about: the same for the width only}
  y:       {default: 1, range: [0.1, 10], curve: exponential, about: the same for the height only}
*/
vec2 smaller;

void once() {
    vec2 larger = amount * vec2(x, y);
    smaller = 1.0 / mix(larger, vec2(1.0e-4), lessThan(abs(larger), vec2(1.0e-4)));
}

vec4 scale(vec2 uv) {
    return picture(0.5 + (uv - 0.5) * smaller);
}
