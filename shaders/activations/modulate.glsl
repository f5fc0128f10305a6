/*
name:    modulate
about:   One picture bends another, by its red to the right and by its green upwards.
inputs:
  picture: {kind: image}
  by:      {kind: image}
  amount:  {unit: length, default: 0.1, range: [-1, 1], about: heights of the picture that a value of 1 moves}
source:  hydra's modulate, derived for this project
*/
vec2 way;

void once() {
    way = amount * vec2(1.0 / aspect, 1.0);
}

vec4 modulate(vec2 uv) {
    return picture(uv + way * by(uv).rg);
}
