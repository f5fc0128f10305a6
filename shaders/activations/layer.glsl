/*
name:    layer
about:   Lays one picture over another; where the upper one is transparent the lower one is seen.
inputs:
  picture: {kind: image, about: the lower one}
  by:      {kind: image, about: the upper one}
  amount:  {unit: unipolar, default: 1, about: "of the upper one; a picture wired here is its mask"}
source:  Porter and Duff's over, for premultiplied colours
*/
vec4 layer(vec2 uv) {
    vec4 upper = by(uv) * amount;
    return upper + picture(uv) * (1.0 - upper.a);
}
