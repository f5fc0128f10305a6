/*
name:    blur
about:   A picture out of focus; for much blur, two in a row are smoother than one.
inputs:
  picture: {kind: image}
  amount:  {unit: length, default: 0.01, range: [0, 0.1], about: radius in heights of the picture}
source:  thirteen taps on two rings, weights of a Gaussian, derived for this project
*/
vec4 blur(vec2 uv) {
    vec2 r   = amount * vec2(1.0 / aspect, 1.0);
    vec4 sum = picture(uv);
    vec4 inner = picture(uv + r * vec2(0.5, 0.0)) + picture(uv + r * vec2(0.25, 0.433))
               + picture(uv + r * vec2(-0.25, 0.433)) + picture(uv + r * vec2(-0.5, 0.0))
               + picture(uv + r * vec2(-0.25, -0.433)) + picture(uv + r * vec2(0.25, -0.433));
    vec4 outer = picture(uv + r * vec2(0.866, 0.5)) + picture(uv + r * vec2(0.0, 1.0))
               + picture(uv + r * vec2(-0.866, 0.5)) + picture(uv + r * vec2(-0.866, -0.5))
               + picture(uv + r * vec2(0.0, -1.0)) + picture(uv + r * vec2(0.866, -0.5));
    return 0.145 * sum + 0.0925 * inner + 0.05 * outer;
}
