/*
name:    last
about:   A picture as it was in the frame before.
inputs:
  picture: {kind: image, delayed: true}
memory:  true
*/
vec4 last(vec2 uv) {
    return picture(uv);
}
