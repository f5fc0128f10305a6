// Sines, cosines and angles in cycles, quicker than the built-in ones on processors; the error is below 2e-6.

float sine(float cycles) {
    float s = 0.25 - abs(fract(cycles + 0.25) - 0.5);             // folded into -0.25 .. 0.25
    float q = s * s;
    return s * (6.28316405 + q * (-41.33714247 + q * (81.34077119 - 70.99344948 * q)));
}

vec3 sine(vec3 cycles) {
    vec3 s = 0.25 - abs(fract(cycles + 0.25) - 0.5);
    vec3 q = s * s;
    return s * (6.28316405 + q * (-41.33714247 + q * (81.34077119 - 70.99344948 * q)));
}

// The point at an angle on the unit circle.
vec2 direction(float cycles) {
    return vec2(sine(cycles + 0.25), sine(cycles));
}

// The angle of a point, in -0.5 .. 0.5; of the origin 0.
float cycles_of(vec2 p) {
    vec2  a = abs(p);
    float r = min(a.x, a.y) / max(max(a.x, a.y), 1.0e-30);
    float q = r * r;
    float t = r * (0.15913367 + q * (-0.05256964 + q * (0.02867323 + q * (-0.01355303 + 0.00331759 * q))));
    t = a.y > a.x ? 0.25 - t : t;
    t = p.x < 0.0 ? 0.5 - t : t;
    return p.y < 0.0 ? -t : t;
}
