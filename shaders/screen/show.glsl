// From the signed values of a network to what a screen can show. Values are display-referred: no transfer function.
vec3 shown(vec3 y) {
    if (show == 1) y = 0.5 + 0.5 * y;                          // bipolar: -1 is black, 1 is white
    if (show == 2) y = abs(y);                                 // abs: minus is as bright as plus
    if (show == 3) {                                           // tonemap: 0..limit, highlights roll off
        y = max(y, 0.0);
        y = y * (1.0 + y / (limit_ * limit_)) / (1.0 + y);
    }
    return clamp(y, 0.0, 1.0);
}
