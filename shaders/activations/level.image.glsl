/*
name:    level.image
about:   How bright a picture is, as numbers, two frames later.
inputs:
  picture: {kind: image, edge: clamp}
outputs:
  out:    {kind: number, mean: grey, about: Rec.601 mean of the whole}
  red:    {kind: number, mean: red}
  green:  {kind: number, mean: green}
  blue:   {kind: number, mean: blue}
  left:   {kind: number, mean: grey, of: left}
  right:  {kind: number, mean: grey, of: right}
  top:    {kind: number, mean: grey, of: top}
  bottom: {kind: number, mean: grey, of: bottom}
*/
vec4 level_image(vec2 uv) {
    return picture(uv);
}
