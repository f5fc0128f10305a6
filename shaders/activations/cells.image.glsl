/*
name:    cells.image
about:   The greys of a picture as a tree of numbers for trees, sound and machines, two frames later.
inputs:
  picture: {kind: image, edge: clamp}
outputs:
  out:   {kind: number, mean: grey, about: mean of the whole}
  cells: {kind: vvalue, mean: grey, of: cells, about: "{row: {column: grey}}, row 0 on top"}
settings:
  size: {kind: size, default: [96, 96], about: "[width, height] in pixels; a cell is 8 by 8 of them"}
*/
vec4 cells_image(vec2 uv) {
    return picture(uv);
}
