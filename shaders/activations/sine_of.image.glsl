/*
name:    sine_of.image
about:   sin(a · x + b) of every colour x, from -1 to 1.
inputs:
  picture: {kind: image, about: x}
  a:       {default: 6.2832, range: [-20, 20], about: radians}
  b:       {default: 0, range: [-6.2832, 6.2832], about: radians}
*/
vec4 sine_of_image(vec2 uv) {
    vec4 seen = picture(uv);
    return vec4(sin(a * seen.rgb + b), seen.a);
}
