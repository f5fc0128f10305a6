/*
name:    scroll
about:   Moves a picture; what leaves on one side comes in on the other.
inputs:
  picture: {kind: image, edge: repeat}
  x:       {unit: length, default: 0.25, about: widths to the right}
  y:       {unit: length, default: 0, about: heights up}
  speed_x: {unit: cycles/s, default: 0, rate: true, about: widths a second}
  speed_y: {unit: cycles/s, default: 0, rate: true, about: heights a second}
*/
vec4 scroll(vec2 uv) {
    return picture(uv - vec2(x + speed_x, y + speed_y));
}
