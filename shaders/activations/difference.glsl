/*
name:    difference
also:    [diff]
about:   How far two pictures are apart, colour by colour.
inputs:
  a: {kind: image}
  b: {kind: image}
*/
vec4 difference(vec2 uv) {
    vec4 one = a(uv), other = b(uv);
    return vec4(abs(one.rgb - other.rgb), max(one.a, other.a));
}
