#version 330 core
// One triangle that covers the viewport; uv (0,0) is its bottom left.
out vec2 uv;

void main() {
    uv = vec2(2.0 * float(gl_VertexID & 1), float(gl_VertexID & 2));
    gl_Position = vec4(2.0 * uv - 1.0, 0.0, 1.0);
}
