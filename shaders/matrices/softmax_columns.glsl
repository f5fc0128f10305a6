// Every column positive, with the sum 1; the largest value is taken off first, so nothing overflows.
vec2 over_column(int column) {
    float largest = matrix(0, column);
    for (int row = 1; row < matrix_rows; row++)
        largest = max(largest, matrix(row, column));
    float sum = 0.0;
    for (int row = 0; row < matrix_rows; row++)
        sum += exp(matrix(row, column) - largest);
    return vec2(largest, sum);
}

float element(int row, int column) {
    vec2 found = column_result(column);
    return exp(matrix(row, column) - found.x) / found.y;
}
