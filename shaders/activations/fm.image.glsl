/*
name:    fm.image
about:   Frequency modulation drawn like a scan, time running along every row and from row to row.
inputs:
  carrier:   {unit: Hz, default: 220, about: of the wave that is drawn}
  modulator: {unit: Hz, default: 30, about: of the wave that moves the carrier}
  depth:     {default: 200, range: [0, 1000], about: Hz that it moves it up and down}
  rate:      {default: 6000, range: [100, 48000], curve: exponential, about: pixels of the picture a second}
source:  the sound of `sine~` with a `sine~` on its frequency; time as in the sketches of 2016
*/
vec4 fm_image(vec2 uv) {
    vec2  pixel = floor(vec2(uv.x, 1.0 - uv.y) * resolution);
    vec2  t     = pixel * vec2(1.0, resolution.x) / max(rate, 1.0);          // within the row, and of its beginning
    vec2  turns = fract(modulator * t);
    vec2  cycle = fract(carrier * t);
    float angle = TAU * (turns.x + turns.y);
    float swing = abs(modulator) > 1.0e-6 ? depth / modulator * (1.0 - cos(angle)) : TAU * depth * (t.x + t.y);
    return vec4(vec3(sin(TAU * (cycle.x + cycle.y) + swing)), 1.0);
}
