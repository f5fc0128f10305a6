/*
name:    invert
about:   Light becomes dark.
inputs:
  picture: {kind: image}
  amount:  {unit: unipolar, default: 1, about: 0.5 is grey}
*/
vec4 invert(vec2 uv) {
    vec4 seen = picture(uv);
    return vec4(mix(seen.rgb, seen.a - seen.rgb, amount), seen.a);
}
