// A finished picture in a window; its rows run from the top. What the picture does not cover is black.
uniform sampler2D picture;
uniform vec4 place; // of the picture in the window, pixels: left, bottom, width, height
out vec4 colour;

void main() {
    vec2 uv = (gl_FragCoord.xy - place.xy) / place.zw;
    bool inside = all(greaterThanEqual(uv, vec2(0.0))) && all(lessThanEqual(uv, vec2(1.0)));
    colour = vec4(inside ? texture(picture, vec2(uv.x, 1.0 - uv.y)).rgb : vec3(0.0), 1.0);
}
