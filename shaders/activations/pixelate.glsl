/*
name:    pixelate
about:   Large square pixels.
inputs:
  picture: {kind: image}
  x:       {unit: count, default: 48, range: [1, 256], about: across}
  y:       {unit: count, default: 0, range: [0, 256], about: "up; 0: as many as make them square"}
*/
vec2 count, pixel;

void once() {
    count = max(vec2(x, y < 1.0 ? x / aspect : y), 1.0);
    pixel = 1.0 / count;
}

vec4 pixelate(vec2 uv) {
    return picture((floor((uv - 0.5) * count) + 0.5) * pixel + 0.5);
}
