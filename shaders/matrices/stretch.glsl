// Stretches the values to [0, 1]; a flat matrix becomes zero.
vec2 over_row(int row) {
    vec2 ends = vec2(matrix(row, 0));
    for (int column = 1; column < matrix_columns; column++) {
        float here = matrix(row, column);
        ends = vec2(min(ends.x, here), max(ends.y, here));
    }
    return ends;
}

vec2 over_all() {
    vec2 ends = row_result(0);
    for (int row = 1; row < matrix_rows; row++) {
        vec2 here = row_result(row);
        ends = vec2(min(ends.x, here.x), max(ends.y, here.y));
    }
    return ends;
}

float element(int row, int column) {
    vec2 ends = all_result();
    return ends.y > ends.x ? (matrix(row, column) - ends.x) / (ends.y - ends.x) : 0.0;
}
