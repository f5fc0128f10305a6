/*
name:    accum.image
about:   The sum of two pictures of the frame before; wired to itself it is a memory.
inputs:
  accum: {kind: image, delayed: true, about: "usually its own output, with a weight below 1 for a trail"}
  delta: {kind: image, delayed: true, about: what is added each frame}
memory:  true
*/
vec4 accum_image(vec2 uv) {
    return accum(uv) + delta(uv);
}
