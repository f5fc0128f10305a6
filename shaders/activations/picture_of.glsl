/*
name:    picture_of
about:   A picture from three matrices, one for each colour.
inputs:
  red:   {kind: matrix}
  green: {kind: matrix}
  blue:  {kind: matrix}
settings:
  soft: {kind: boolean, default: true, about: "false: every element is a rectangle"}
family:  matrices
*/
vec4 picture_of(vec2 uv) {
    return vec4(red(uv), green(uv), blue(uv), 1.0);
}
