/*
name:    repeat
about:   Tiles of a picture, side by side.
inputs:
  picture: {kind: image, edge: repeat}
  x:       {unit: count, default: 3, range: [1, 16], about: tiles across}
  y:       {unit: count, default: 3, range: [1, 16], about: tiles up}
  offset:  {unit: length, default: 0, about: every other row is moved by this part of a tile}
*/
vec4 repeat(vec2 uv) {
    vec2 tile = (uv - 0.5) * vec2(x, y) + 0.5;
    return picture(tile + vec2(offset * mod(floor(tile.y), 2.0), 0.0));
}
