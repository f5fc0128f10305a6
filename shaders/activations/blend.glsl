/*
name:    blend
about:   From one picture to another.
inputs:
  a:      {kind: image}
  b:      {kind: image}
  amount: {unit: unipolar, default: 0.5, about: "0 is a, 1 is b"}
*/
vec4 blend(vec2 uv) {
    return mix(a(uv), b(uv), amount);
}
