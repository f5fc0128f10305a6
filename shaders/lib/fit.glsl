// The part of a picture of some size in pixels that the stage shows: (1, 1) is all of it. Without a picture nothing.
vec2 fitting(vec2 size, bool cover, bool contain) {
    float wider = size.x / max(size.y, 1.0) / aspect;              // than the stage; 0 where there is no picture
    if (wider <= 0.0) return vec2(1.0e9);
    if (cover)        return vec2(min(1.0 / wider, 1.0), min(wider, 1.0));
    if (contain)      return vec2(max(1.0 / wider, 1.0), max(wider, 1.0));
    return vec2(1.0);
}
