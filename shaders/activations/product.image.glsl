/*
name:    product.image
about:   Two pictures multiplied, colour by colour; one of them alone is a picture passed on.
inputs:
  a: {kind: image, default: 1}
  b: {kind: image, default: 1}
*/
vec4 product_image(vec2 uv) {
    return a(uv) * b(uv);
}
