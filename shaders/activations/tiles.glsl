/*
name:    tiles
about:   Up to six pictures side by side, each whole.
inputs:
  a: {kind: image, edge: clamp}
  b: {kind: image, edge: clamp}
  c: {kind: image, edge: clamp}
  d: {kind: image, edge: clamp}
  e: {kind: image, edge: clamp}
  f: {kind: image, edge: clamp}
settings:
  columns: {kind: integer, default: 3}
  rows:    {kind: integer, default: 2}
*/
vec4 tiles(vec2 uv) {
    vec2 count = vec2(max(columns, 1), max(rows, 1));
    vec2 place = vec2(uv.x, 1.0 - uv.y) * count;                   // from the top left
    vec2 tile  = min(floor(place), count - 1.0);
    vec2 p     = place - tile;
    p.y        = 1.0 - p.y;
    int which  = int(tile.x + tile.y * count.x);
    return which == 0 ? a(p) : which == 1 ? b(p) : which == 2 ? c(p) : which == 3 ? d(p) : which == 4 ? e(p)
         : which == 5 ? f(p) : vec4(0.0, 0.0, 0.0, 1.0);
}
