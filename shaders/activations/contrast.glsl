/*
name:    contrast
about:   Moves colours away from middle grey, or towards it.
inputs:
  picture: {kind: image}
  amount:  {default: 1.6, range: [0, 4], about: 1 changes nothing}
*/
vec4 contrast(vec2 uv) {
    vec4 seen = picture(uv);
    return vec4((seen.rgb - 0.5 * seen.a) * amount + 0.5 * seen.a, seen.a);
}
