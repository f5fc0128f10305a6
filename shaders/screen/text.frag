#version 330 core
// Text over the picture: the letters light, a dark veil behind them. `letters` has its top row first.
uniform sampler2D letters;
in vec2 uv;
out vec4 colour;

void main() {
    float ink = texture(letters, vec2(uv.x, 1.0 - uv.y)).r;
    colour = mix(vec4(0.0, 0.0, 0.0, 0.7), vec4(1.0), ink);
}
