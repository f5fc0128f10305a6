/*
name:    wave
about:   A ring of zoom that runs outwards from a click, slows down, and freezes.
inputs:
  picture: {kind: image, edge: clamp}
  x:       {unit: length, default: 0, range: [-0.5, 0.5], about: "of the click, from the middle to the right"}
  y:       {unit: length, default: 0, range: [-0.5, 0.5], about: "of the click, from the middle up"}
  age:     {unit: count, default: 24, range: [0, 500], about: "frames since the click; below 1 nothing moves"}
  k:       {default: 1, range: [0, 4], about: how narrow the rings are}
source:  the click wave of the image dataflow sketches (Processing, May 2015), from its formula
*/
const float SIDE = 450.0;                                          // pixels of the original's pictures

vec4 wave(vec2 uv) {
    vec2  centre = 0.5 + vec2(x, y);
    vec2  p      = uv - centre;
    float e      = max(age, 1.0);
    float far    = SIDE * length(p * vec2(aspect, 1.0));
    float zoom   = 0.75 + 0.25 * sin(k * (far / e + e / (1.0 + 0.01 * e)));
    return picture(age < 1.0 ? uv : centre + p * zoom);
}
