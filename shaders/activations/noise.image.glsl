/*
name:    noise.image
about:   Clouds that boil, from -1 to 1.
inputs:
  scale: {default: 3, range: [0, 20], about: features over the height of the picture}
  speed: {unit: cycles/s, default: 0.2, rate: true, wrap: 64, about: how fast it boils}
settings:
  octaves: {kind: integer, default: 1, about: "1 to 6: layers of finer noise, each half as strong"}
source:  flow noise (Perlin and Neyret, 2001), derived for this project
*/
#include "lib/noise.glsl"

vec4 noise_image(vec2 uv) {
    vec2  p     = (uv - 0.5) * vec2(aspect, 1.0) * scale;
    float sum   = 0.0;
    float share = 1.0, shares = 0.0;
    for (int octave = 0; octave < clamp(octaves, 1, 6); octave++) {
        sum    += share * flow_noise(p, speed, seed + 17.0 * float(octave));
        shares += share;
        share  *= 0.5;
        p       = mat2(1.6, 1.2, -1.2, 1.6) * p;                   // twice as fine, turned, so no axis shows
    }
    return vec4(vec3(sum / shares), 1.0);
}
