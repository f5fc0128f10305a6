/*
name:    brightness
about:   Adds light to every colour, or takes it away.
inputs:
  picture: {kind: image}
  amount:  {unit: bipolar, default: 0.2}
*/
vec4 brightness(vec2 uv) {
    vec4 seen = picture(uv);
    return vec4(seen.rgb + amount * seen.a, seen.a);
}
