/*
name:    solid
about:   One colour everywhere.
inputs:
  red:   {unit: unipolar, default: 0}
  green: {unit: unipolar, default: 0}
  blue:  {unit: unipolar, default: 0}
  alpha: {unit: unipolar, default: 1, about: the colour is multiplied by it}
*/
vec4 solid(vec2 uv) {
    return vec4(vec3(red, green, blue) * alpha, alpha);
}
