// Noise on a plane whose every point boils in its own time. Values in [-1, 1], mean 0.
// Simplex noise with turning gradients, after K. Perlin and F. Neyret, "Flow Noise", 2001; written for this project.

// Throws dice: 0 to 288 in a disorder that repeats after 289.
vec3 dice(vec3 x) {
    x = (34.0 * x + 10.0) * x;
    return x - 289.0 * floor((x + 0.5) * (1.0 / 289.0));          // x is whole: half a step keeps off the edge
}

// A parabola through the zeros and tops of a sine; a gradient may be a little longer here and shorter there.
vec3 nearly_sine(vec3 cycles) {
    vec3 t = fract(cycles) - 0.5;
    return t * (16.0 * abs(t) - 8.0);
}

// p       place; one feature is about one unit wide, the pattern repeats after 289
// moment  in [0, 64); 64 is where it began: every gradient has then turned a whole number of times
// seed    another seed is another noise
float flow_noise(vec2 p, float moment, float seed) {
    const float SKEW = 0.366025403784, UNSKEW = 0.211324865405;    // (sqrt(3) - 1) / 2, (3 - sqrt(3)) / 6
    vec2 cell   = floor(p + (p.x + p.y) * SKEW);
    vec2 first  = p - cell + (cell.x + cell.y) * UNSKEW;           // from the three corners to the place
    vec2 step   = first.x > first.y ? vec2(1.0, 0.0) : vec2(0.0, 1.0);
    vec2 second = first - step + UNSKEW;
    vec2 third  = first - 1.0 + 2.0 * UNSKEW;

    vec2 region = mod(seed * vec2(101.0, 57.0), 289.0) + cell;     // every seed looks at another part
    vec3 column = region.x + vec3(0.0, step.x, 1.0);
    vec3 row    = region.y + vec3(0.0, step.y, 1.0);
    vec3 thrown = dice(dice(column) + row);
    // turns per unit of time, in 64ths; not in step with the angles, or all would line up at some moments
    vec3 pace   = fract((17.0 * thrown + 5.0) * thrown * (1.0 / 64.0)) + 0.5;
    vec3 turn   = thrown * 0.61803 + moment * pace;
    vec3 across = nearly_sine(turn + 0.25), up = nearly_sine(turn);

    vec3 near = max(0.5 - vec3(dot(first, first), dot(second, second), dot(third, third)), 0.0);
    near *= near;
    near *= near;
    vec3 slope = across * vec3(first.x, second.x, third.x) + up * vec3(first.y, second.y, third.y);
    return 93.0 * dot(near, slope);
}
