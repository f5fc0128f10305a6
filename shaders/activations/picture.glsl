/*
name:    picture
about:   A picture from a file.
settings:
  file: {kind: file, about: "PNG, JPEG, WebP …"}
  fit:  {kind: choice, choices: [cover, contain, stretch], default: cover, about: how it meets the shape of the stage}
*/
vec2 part;                                                         // of the file that the stage shows

void once() {
    float wider = file_size.x / max(file_size.y, 1.0) / aspect;    // than the stage; 0 where there is no file
    part = vec2(wider > 0.0 ? 1.0 : 1.0e9);
    if (wider > 0.0 && fit == fit_cover)   part = vec2(min(1.0 / wider, 1.0), min(wider, 1.0));
    if (wider > 0.0 && fit == fit_contain) part = vec2(max(1.0 / wider, 1.0), max(wider, 1.0));
}

vec4 picture(vec2 uv) {
    vec2 p      = 0.5 + (uv - 0.5) * part;
    vec4 colour = file(p);
    return p == clamp(p, 0.0, 1.0) ? colour : vec4(0.0);
}
