/*
name:    threshold
also:    [thresh]
about:   White where a picture is brighter than an amount, else black.
inputs:
  picture:  {kind: image}
  amount:   {unit: unipolar, default: 0.5}
  softness: {unit: unipolar, default: 0.04, about: brightness that the border takes}
*/
float steepness;

void once() {
    steepness = 1.0 / max(softness, 1.0e-5);
}

vec4 threshold(vec2 uv) {
    vec4  seen  = picture(uv);
    float light = clamp(0.5 + (dot(seen.rgb, vec3(0.299, 0.587, 0.114)) - amount) * steepness, 0.0, 1.0);
    return vec4(vec3(light * light * (3.0 - 2.0 * light) * seen.a), seen.a);
}
