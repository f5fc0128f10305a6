/*
name:    grey
about:   The greys of a picture as a matrix, row 0 on top.
inputs:
  picture: {kind: image, edge: clamp}
outputs:
  out: {kind: matrix}
settings:
  size: {kind: size, default: [256, 256], about: "[columns, rows]"}
family:  matrices
source:  Rec.601
*/
vec4 grey(vec2 uv) {
    vec2 quarter = 0.25 / resolution;                              // four taps, for sizes below the picture's
    vec4 sum = picture(uv + quarter) + picture(uv - quarter)
             + picture(uv + quarter * vec2(1.0, -1.0)) + picture(uv - quarter * vec2(1.0, -1.0));
    return vec4(0.25 * dot(sum.rgb, vec3(0.299, 0.587, 0.114)));
}
