/*
name:    moire
about:   Sines of the place, folded into saw teeth.
inputs:
  x:      {default: 20, range: [-200, 200], about: radians across the width}
  y:      {default: 14, range: [-200, 200], about: radians across the height}
  amount: {default: 4, range: [0, 16], about: how many teeth a sine is folded into}
  speed:  {unit: cycles/s, default: 0.5, rate: true, about: teeth a second}
  offset: {unit: cycles, default: 0, about: red lags and blue leads by this part of a tooth}
settings:
  places: {kind: choice, choices: [corner, middle, polar], default: corner, about: "where the place is counted from; polar: distance and angle"}
source:  the shader toys of 2019 in the lineage of dataflow matrix machines, from their formula
*/
vec4 moire(vec2 uv) {
    vec2 p = uv;
    if (places != places_corner) p = (uv - 0.5) * vec2(aspect, 1.0);
    if (places == places_polar)  p = vec2(length(p), p == vec2(0.0) ? 0.0 : atan(p.y, p.x) / TAU);
    float tooth = amount * sin(dot(p, vec2(x, y))) + speed;
    return vec4(fract(tooth + vec3(-offset, 0.0, offset)), 1.0);
}
